#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <iostream>
#include <thread>

#include "services/client/command_line.h"

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  const char* address = std::getenv("MDGEN_ADDRESS");
  const mdgen::SystemClock clock;
  std::error_code no_folder;  // relative paths are then refused, other verbs work
  const mdgen::client::Surroundings world{
      .in = std::cin,
      .out = std::cout,
      .err = std::cerr,
      .is_terminal = ::isatty(STDOUT_FILENO) == 1,
      .default_address = address == nullptr ? "" : address,
      .current_folder = std::filesystem::current_path(no_folder),
      .connect = mdgen::client::connect_grpc,
      .clock = clock,
      .sleep = [](std::chrono::milliseconds pause) { std::this_thread::sleep_for(pause); }};
  return mdgen::client::run_client({argv + 1, argv + argc}, world);
}
