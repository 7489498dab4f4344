// mdgen-mpi-host NAME RANK WORLD_SIZE: the PMIx server of one MPI process (launch.h). Started by the rank,
// with which it talks over standard input and output (frames.h): it tells the environment that the rank must
// set, then posts what the rank's MPI has to tell all others at each of PMIx's fences and waits for what all
// have posted. It ends when its input does.
//
// The group is laid out as one node a rank: ranks of one machine talk over TCP like the others.
#include <pmix.h>
#include <pmix_server.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <filesystem>
#include <iostream>
#include <mutex>
#include <string>
#include <vector>

#include "core/comm/mpi/frames.h"

namespace {

struct Fence {
  pmix_modex_cbfunc_t answer;
  void* data;
};
int g_output = -1;  // what was the standard output: libraries may print there
std::mutex g_mutex;
std::deque<Fence> g_waiting;

pmix_status_t on_fence(const pmix_proc_t*, std::size_t, const pmix_info_t*, std::size_t, char* data,
                       std::size_t bytes, pmix_modex_cbfunc_t answer, void* user) {
  const std::lock_guard lock(g_mutex);
  g_waiting.push_back({answer, user});
  const bool sent = mdgen::comm::write_frame(g_output, std::string(data == nullptr ? "" : data, bytes));
  std::free(data);
  return sent ? PMIX_SUCCESS : PMIX_ERR_LOST_CONNECTION_TO_SERVER;
}

// Everything has been collected by a fence.
pmix_status_t on_direct_modex(const pmix_proc_t*, const pmix_info_t*, std::size_t, pmix_modex_cbfunc_t,
                              void*) {
  return PMIX_ERR_NOT_FOUND;
}
pmix_status_t on_client(const pmix_proc_t*, void*, pmix_op_cbfunc_t, void*) {
  return PMIX_OPERATION_SUCCEEDED;
}
pmix_status_t on_abort(const pmix_proc_t*, void*, int, const char*, pmix_proc_t*, std::size_t,
                       pmix_op_cbfunc_t, void*) {
  return PMIX_OPERATION_SUCCEEDED;
}

void check(pmix_status_t status, const char* what) {
  if (status == PMIX_SUCCESS || status == PMIX_OPERATION_SUCCEEDED) return;
  std::cerr << "mdgen-mpi-host: " << what << ": " << PMIx_Error_string(status) << "\n";
  std::_Exit(1);
}

// A growing list of attributes.
class Attributes {
 public:
  void text(const char* key, const std::string& value, pmix_data_type_t type = PMIX_STRING) {
    PMIX_INFO_LOAD(next(), key, value.c_str(), type);
  }
  void number(const char* key, std::uint32_t value) { PMIX_INFO_LOAD(next(), key, &value, PMIX_UINT32); }
  void small_number(const char* key, std::uint16_t value) {
    PMIX_INFO_LOAD(next(), key, &value, PMIX_UINT16);
  }
  void rank(const char* key, pmix_rank_t value) { PMIX_INFO_LOAD(next(), key, &value, PMIX_PROC_RANK); }
  void list(const char* key, const Attributes& values) {
    pmix_data_array_t* array = nullptr;
    PMIX_DATA_ARRAY_CREATE(array, values.all_.size(), PMIX_INFO);
    std::memcpy(array->array, values.all_.data(), values.all_.size() * sizeof(pmix_info_t));
    pmix_info_t* info = next();
    std::strncpy(info->key, key, PMIX_MAX_KEYLEN);
    info->value.type = PMIX_DATA_ARRAY;
    info->value.data.darray = array;
  }
  pmix_info_t* data() { return all_.data(); }
  std::size_t size() const { return all_.size(); }

 private:
  pmix_info_t* next() {
    all_.emplace_back();
    std::memset(&all_.back(), 0, sizeof(pmix_info_t));
    return &all_.back();
  }
  std::vector<pmix_info_t> all_;
};

Attributes layout(const std::string& name, std::uint32_t rank, std::uint32_t size) {
  std::string nodes, ranks;
  for (std::uint32_t r = 0; r < size; ++r) {
    nodes += (r > 0 ? ",n" : "n") + std::to_string(r);
    ranks += (r > 0 ? ";" : "") + std::to_string(r);
  }
  char* node_map = nullptr;
  char* proc_map = nullptr;
  check(PMIx_generate_regex(nodes.c_str(), &node_map), "PMIx_generate_regex");
  check(PMIx_generate_ppn(ranks.c_str(), &proc_map), "PMIx_generate_ppn");
  Attributes all;
  all.text(PMIX_JOBID, name);
  for (const char* key : {PMIX_UNIV_SIZE, PMIX_JOB_SIZE, PMIX_MAX_PROCS, PMIX_NUM_NODES})
    all.number(key, size);
  for (const char* key : {PMIX_JOB_NUM_APPS, PMIX_LOCAL_SIZE, PMIX_NODE_SIZE}) all.number(key, 1);
  all.text(PMIX_NODE_MAP, node_map, PMIX_REGEX);
  all.text(PMIX_PROC_MAP, proc_map, PMIX_REGEX);
  all.number(PMIX_NODEID, rank);
  all.text(PMIX_LOCAL_PEERS, std::to_string(rank));
  all.rank(PMIX_LOCALLDR, rank);
  for (std::uint32_t r = 0; r < size; ++r) {
    Attributes process;
    process.rank(PMIX_RANK, r);
    process.number(PMIX_APPNUM, 0);
    process.small_number(PMIX_LOCAL_RANK, 0);
    process.small_number(PMIX_NODE_RANK, 0);
    process.number(PMIX_NODEID, r);
    process.rank(PMIX_GLOBAL_RANK, r);
    all.list(PMIX_PROC_DATA, process);
  }
  return all;
}

void start_server(const std::string& name, const std::string& folder) {
  static pmix_server_module_t module;
  module.client_connected = on_client;
  module.client_finalized = on_client;
  module.abort = on_abort;
  module.fence_nb = on_fence;
  module.direct_modex = on_direct_modex;
  Attributes options;
  options.text(PMIX_SERVER_TMPDIR, folder);
  options.text(PMIX_SYSTEM_TMPDIR, folder);
  options.text(PMIX_SERVER_NSPACE, name + "-server");
  check(PMIx_server_init(&module, options.data(), options.size()), "PMIx_server_init");
}

std::string environment_of(const pmix_proc_t& process) {
  char** variables = nullptr;
  check(PMIx_server_setup_fork(&process, &variables), "PMIx_server_setup_fork");
  std::string text;
  for (char** one = variables; one != nullptr && *one != nullptr; ++one) text += std::string(*one) + '\0';
  return text;
}

void release(void* text) { delete static_cast<std::string*>(text); }

// PMIx's files are of no use once the rank has come to its first fence; a host that is killed cleans up
// nothing.
void answer_fences(const std::string& folder) {
  while (auto text = mdgen::comm::read_frame(STDIN_FILENO)) {
    Fence fence{};
    {
      const std::lock_guard lock(g_mutex);
      if (g_waiting.empty()) return;
      fence = g_waiting.front();
      g_waiting.pop_front();
    }
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
    auto* kept = new std::string(std::move(*text));
    fence.answer(PMIX_SUCCESS, kept->data(), kept->size(), fence.data, release, kept);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: mdgen-mpi-host NAME RANK WORLD_SIZE; a rank with backend = mpi starts it\n";
    return 2;
  }
  const std::string name = argv[1];
  const auto rank = static_cast<std::uint32_t>(std::strtoul(argv[2], nullptr, 10));
  const auto size = static_cast<std::uint32_t>(std::strtoul(argv[3], nullptr, 10));
  ::signal(SIGPIPE, SIG_IGN);
  g_output = ::dup(STDOUT_FILENO);
  ::dup2(STDERR_FILENO, STDOUT_FILENO);
  std::string folder = (std::filesystem::temp_directory_path() / "mdgen-mpi-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) {
    std::cerr << "mdgen-mpi-host: cannot make a folder " << folder << ": " << std::strerror(errno) << "\n";
    return 1;
  }
  ::setenv("PMIX_MCA_gds", "hash", 1);  // not in shared memory, which would be files of megabytes
  start_server(name, folder);
  Attributes all = layout(name, rank, size);
  check(PMIx_server_register_nspace(name.c_str(), 1, all.data(), all.size(), nullptr, nullptr),
        "PMIx_server_register_nspace");
  pmix_proc_t process;
  PMIX_PROC_LOAD(&process, name.c_str(), rank);
  check(PMIx_server_register_client(&process, ::getuid(), ::getgid(), nullptr, nullptr, nullptr),
        "PMIx_server_register_client");
  if (mdgen::comm::write_frame(g_output, environment_of(process))) answer_fences(folder);
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  std::_Exit(0);
}
