// The table of all fields, made once from the descriptors of JobSpec and their rules.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/value.h"

namespace mdgen::config {

class Schema {
 public:
  static const Schema& get();

  // In the order of the .proto file.
  const std::vector<Field>& fields() const { return fields_; }
  // The groups in that order: "" (the top) first.
  const std::vector<std::string>& groups() const { return groups_; }

  // By flag name, alias or whole key, '-' and '_' alike; nullptr when there is none.
  const Field* by_flag(std::string_view name) const;
  // By whole key, or group and alias: "data.crop", "run_name".
  const Field* by_key(std::string_view key) const;

  std::vector<std::string> flag_names() const;
  // What may stand in a group: its fields' names and aliases; at the top the groups as well.
  std::vector<std::string> names_in(std::string_view group) const;
  bool is_group(std::string_view name) const;

 private:
  Schema();
  void add(Field field);

  std::vector<Field> fields_;
  std::vector<std::string> groups_;
  std::map<std::string, std::size_t, std::less<>> by_flag_;
  std::map<std::string, std::size_t, std::less<>> by_key_;
};

// '-' to '_'.
std::string normal_name(std::string_view name);

// `; did you mean "x"?` for the nearest of the candidates, or nothing.
std::string did_you_mean(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace mdgen::config
