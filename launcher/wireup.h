// How the ranks of one launch learn where rank 0's coordinator listens.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "launcher/environment.h"

namespace mdgen::launcher {

// One way to hand a short text from rank 0 to the others. Not thread-safe.
class Wireup {
 public:
  virtual ~Wireup() = default;
  // Rank 0 gives its text, the others nothing; all get rank 0's. Throws Error(kUnavailable) when rank 0 has
  // not given it in time.
  virtual std::string share(const std::optional<std::string>& own) = 0;
  // HOST:PORT where rank 0 must listen, for the others know it beforehand; nothing: wherever it likes.
  virtual std::optional<std::string> agreed_address() const { return std::nullopt; }
};

// PMIx under mpirun and `srun --mpi=pmix` (put, fence, get; no MPI). Nothing when there is no PMIx server.
std::unique_ptr<Wireup> pmix_wireup(const Environment& environment, const Place& place);

// A file that only its owner can read, in `folder`, named by the launch; rank 0 removes it at the end.
std::unique_ptr<Wireup> file_wireup(const std::filesystem::path& folder, const std::string& launch_id,
                                    std::chrono::milliseconds timeout);

// MDGEN_ADDRESS: rank 0 listens there.
std::unique_ptr<Wireup> fixed_wireup(const std::string& address);

// PMIx, else a file when the launch has a name, else MDGEN_ADDRESS. `folder` is asked only for a file. Throws
// Error(kInvalidArgument) when none will do.
std::unique_ptr<Wireup> choose_wireup(const Environment& environment, const Place& place,
                                      const std::function<std::filesystem::path()>& folder);

}  // namespace mdgen::launcher
