// What an agent says about where it runs.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "mdgen/v1/worker_service.pb.h"

namespace mdgen::worker {

// The name of this agent's device: "cpu" and "cuda:N" as they are; "cuda" is the only visible GPU when
// CUDA_VISIBLE_DEVICES (empty: unset) names one, else the one of the local rank. Throws Error for anything
// else.
std::string device_name(std::string_view asked, std::string_view cuda_visible_devices, int local_rank);

// The local address that packets to HOST:PORT leave from. Throws Error when HOST:PORT is malformed, unknown
// or unreachable.
std::string local_address_towards(const std::string& host_and_port);

// The folder of the running program.
std::filesystem::path program_folder();

int usable_cpus();  // by this process's affinity

// Everything but incarnation, device, address and local rank.
v1::Register describe_host();

}  // namespace mdgen::worker
