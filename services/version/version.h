// Which versions of the programs work together. Pure functions over texts such as "0.2.0".
//
// A coordinator takes in workers of its own major version that are at most one minor version older or newer,
// so that a pool is upgraded while it works. An agent and its trainer are installed together: equal versions
// only. Clients are told when they are older or newer, and refused by no one.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mdgen::version {

struct Version {
  int major = 0;
  int minor = 0;
  int patch = 0;
  friend bool operator==(const Version&, const Version&) = default;
};

// Of this build: "0.1.0".
const char* program_version();

// "1.2.3", and "1.2.3-rc1" or "1.2.3+abc", whose ends do not count; nothing for any other text.
std::optional<Version> parse_version(std::string_view text);

// The same major version, and minor versions that are equal or neighbours.
bool works_with(const Version& a, const Version& b);

// Why a coordinator does not take this worker in, both versions and what to do named; nothing when it does.
// A worker that says none (empty) is taken in: a tool that has none.
std::optional<std::string> refuse_worker(std::string_view coordinator, std::string_view worker);

// Why an agent does not use this trainer; nothing when it does. `trainer` empty: from before it was said.
std::optional<std::string> refuse_trainer(std::string_view agent, std::string_view trainer);

// What a client should know of a coordinator of another version; nothing when their minor versions are equal
// or the coordinator does not say its own.
std::optional<std::string> advise_client(std::string_view client, std::string_view coordinator);

// For a program whose version can never fit: started again it would end again (EX_CONFIG of sysexits.h). The
// units of deploy/ do not restart after it.
inline constexpr int kExitIncompatible = 78;

}  // namespace mdgen::version
