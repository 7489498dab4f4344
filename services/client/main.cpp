#include <sys/ioctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <iostream>
#include <thread>

#include "services/client/command_line.h"
#include "services/client/sbatch.h"

namespace {

// 0: not a terminal.
std::size_t columns_of(int descriptor) {
  if (::isatty(descriptor) != 1) return 0;
  winsize size{};
  const bool is_known = ::ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return is_known ? size.ws_col : 80;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  const char* address = std::getenv("MDGEN_ADDRESS");
  const mdgen::SystemClock clock;
  std::error_code no_folder;  // relative paths are then refused, other verbs work
  const mdgen::client::Surroundings world{
      .in = std::cin,
      .out = std::cout,
      .err = std::cerr,
      .terminal_columns = columns_of(STDOUT_FILENO),
      .default_address = address == nullptr ? "" : address,
      .current_folder = std::filesystem::current_path(no_folder),
      .connect =
          [](const std::string& target, const mdgen::access::Sources& sources) {
            return mdgen::client::connect_grpc(target, mdgen::access::find_access(sources));
          },
      .submit_batch = mdgen::client::submit_to_sbatch,
      .launcher = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "mdgen-launch",
      .clock = clock,
      .sleep = [](std::chrono::milliseconds pause) { std::this_thread::sleep_for(pause); }};
  return mdgen::client::run_client({argv + 1, argv + argc}, world);
}
