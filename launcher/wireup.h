// How the ranks of one launch learn where rank 0's coordinator listens and how to get in.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "launcher/environment.h"
#include "launcher/handover.h"
#include "services/access/server_access.h"

namespace mdgen::launcher {

// What the ranks were told before they started, so that rank 0 must do likewise.
struct Agreement {
  std::string address;                         // HOST:PORT
  std::optional<access::ServerAccess> access;  // nothing: plain
};

// One way to hand things over from rank 0 to the others. Not thread-safe.
class Wireup {
 public:
  virtual ~Wireup() = default;
  // Rank 0 gives its own, the others nothing; all get rank 0's. Throws Error(kUnavailable) when rank 0 has
  // not given it in time.
  virtual Handover share(const std::optional<Handover>& own) = 0;
  // What rank 0 gives now, when nobody answered at `last`: an earlier run may have left that behind.
  virtual Handover latest(const Handover& last) { return last; }
  virtual std::optional<Agreement> agreement() const { return std::nullopt; }
};

// PMIx under mpirun and `srun --mpi=pmix` (put, fence, get; no MPI). Nothing when there is no PMIx server.
std::unique_ptr<Wireup> pmix_wireup(const Environment& environment, const Place& place);

// A file that only its owner can read, in `folder`, named by the launch; rank 0 removes it at the end.
std::unique_ptr<Wireup> file_wireup(const std::filesystem::path& folder, const std::string& launch_id,
                                    std::chrono::milliseconds timeout);

// MDGEN_ADDRESS, where rank 0 listens, and MDGEN_TOKEN, of which all ranks make the same certificate. Without
// a token only on loopback, and plain. Throws Error(kInvalidArgument) for a token that is missing or short.
std::unique_ptr<Wireup> fixed_wireup(const std::string& address, const std::string& token);

// PMIx, else a file when the launch has a name, else MDGEN_ADDRESS. `folder` is asked only for a file. Throws
// Error(kInvalidArgument) when none will do.
std::unique_ptr<Wireup> choose_wireup(const Environment& environment, const Place& place,
                                      const std::function<std::filesystem::path()>& folder);

}  // namespace mdgen::launcher
