#include <sys/ioctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <iostream>
#include <thread>

#include "services/client/command_line.h"
#include "services/client/sbatch.h"

namespace {

mdgen::client::TerminalSize terminal_of(int descriptor) {
  if (::isatty(descriptor) != 1) return {};
  winsize size{};
  const bool is_known = ::ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return is_known ? mdgen::client::TerminalSize{size.ws_col, size.ws_row}
                  : mdgen::client::TerminalSize{80, 24};
}

std::string variable(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? "" : value;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  const mdgen::SystemClock clock;
  std::error_code no_folder;  // relative paths are then refused, other verbs work
  const mdgen::client::Surroundings world{
      .in = std::cin,
      .out = std::cout,
      .err = std::cerr,
      .terminal = [] { return terminal_of(STDOUT_FILENO); },
      .can_ask = ::isatty(STDIN_FILENO) == 1 && ::isatty(STDERR_FILENO) == 1,
      .variable = variable,
      .current_folder = std::filesystem::current_path(no_folder),
      .connect =
          [](const mdgen::client::Endpoint& to) {
            return mdgen::client::connect_grpc(to.address, mdgen::access::find_access(to.access),
                                               to.answer_within);
          },
      .submit_batch = mdgen::client::submit_to_sbatch,
      .launcher = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "mdgen-launch",
      .clock = clock,
      .sleep = [](std::chrono::milliseconds pause) { std::this_thread::sleep_for(pause); }};
  return mdgen::client::run_client({argv + 1, argv + argc}, world);
}
