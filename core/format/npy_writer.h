// Writes an .npy file piece by piece; nobody sees it before it is whole.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "core/base/digest.h"
#include "core/format/partial_file.h"

namespace mdgen::format {

// Data go to `<file>.partial`, which is removed unless publish() was reached; one that a killed process left
// behind is overwritten. Throws Error naming the file. One thread at a time.
class NpyWriter {
 public:
  // `dtype` as in NpyHeader. Throws Error(kAborted) while another process writes the same file.
  NpyWriter(const std::filesystem::path& file, const std::string& dtype, std::span<const std::int64_t> shape);
  ~NpyWriter();
  NpyWriter(NpyWriter&& other) noexcept;
  NpyWriter& operator=(NpyWriter&&) = delete;

  void append(std::span<const std::byte> data);
  // Checks that the shape is filled, and syncs.
  void finish();
  // Gives the finished file its name, replacing an older one.
  void publish();

  const std::filesystem::path& file() const { return partial_->file(); }
  // Of all that was written, header included; once, after finish().
  std::string sha256() { return digest_.hex(); }

 private:
  void write(std::string_view bytes);

  std::unique_ptr<PartialFile> partial_;
  Sha256 digest_;
  std::size_t missing_ = 0;  // bytes of data
};

}  // namespace mdgen::format
