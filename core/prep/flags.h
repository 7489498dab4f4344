// mdgen-prep's command line.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/prep/run.h"

namespace CLI {
class App;
}

namespace mdgen::prep {

class Flags {
 public:
  Flags();
  ~Flags();

  CLI::App& app() { return *app_; }
  // After parsing: what is asked for cannot be done so, and why; "" when it can.
  std::string problem() const;
  // After parsing, when there is no problem.
  RunOptions options() const;

 private:
  void add_inputs();
  void add_choices();
  void add_outputs();

  std::unique_ptr<CLI::App> app_;
  RunOptions options_;
  bool no_center_ = false;
  std::string dtype_ = "float16";
  std::vector<std::string> maps_;  // NAME=PARENT
  std::vector<std::string> drop_;
  std::string chain_;
};

}  // namespace mdgen::prep
