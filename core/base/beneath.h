// Files of a folder that others may write to: a link that leads out of it is not followed.
#pragma once

#include <filesystem>

namespace mdgen {

// A descriptor that closes itself.
class OpenFile {
 public:
  explicit OpenFile(int descriptor) : descriptor_(descriptor) {}
  ~OpenFile();
  OpenFile(OpenFile&& other) noexcept : descriptor_(other.descriptor_) { other.descriptor_ = -1; }
  OpenFile& operator=(OpenFile&&) = delete;

  int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
};

// Opens the regular file folder/relative for reading. Links within the folder are followed; the kernel itself
// (openat2) refuses those that lead out, so nobody can put one in its place meanwhile. Throws Error:
// kPermissionDenied for a way out, kNotFound when there is no such file or it is no regular one.
OpenFile open_beneath(const std::filesystem::path& folder, const std::filesystem::path& relative);

// Whether `path`, links resolved as far as it exists, is `root` or lies below it.
bool is_beneath(const std::filesystem::path& path, const std::filesystem::path& root);

}  // namespace mdgen
