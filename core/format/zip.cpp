#include "core/format/zip.h"

#include <zip.h>

#include <cerrno>
#include <cstring>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/identity.h"

namespace mdgen::format {
namespace fs = std::filesystem;
namespace {

struct Discard {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
struct Close {
  void operator()(zip_file_t* member) const { zip_fclose(member); }
};
using Handle = std::unique_ptr<zip_t, Discard>;

[[noreturn]] void reject(const fs::path& file, const std::string& reason) {
  throw Error(ErrorCode::kDataLoss, file.string() + ": " + reason);
}

std::string reason_of(int code) {
  zip_error_t error;
  zip_error_init_with_code(&error, code);
  std::string text = zip_error_strerror(&error);
  zip_error_fini(&error);
  return text;
}

Handle open_archive(const fs::path& file, int flags) {
  int code = 0;
  Handle handle(zip_open(file.c_str(), flags, &code));
  if (handle) return handle;
  if (code == ZIP_ER_NOENT) throw Error(ErrorCode::kNotFound, file.string() + ": there is no such file");
  if (code == ZIP_ER_OPEN || code == ZIP_ER_READ)
    throw Error(ErrorCode::kUnavailable, file.string() + " cannot be read: " + std::strerror(errno));
  reject(file, "no whole zip archive (" + reason_of(code) + ")");
}

}  // namespace

struct ZipReader::Archive {
  struct Member {
    zip_uint64_t index = 0;
    std::uint64_t bytes = 0;
  };

  fs::path path;
  std::uint64_t file_size = 0;
  Handle handle;
  std::vector<std::string> order;
  std::map<std::string, Member> members;

  const Member& member(const std::string& name) const {
    const auto found = members.find(name);
    if (found == members.end()) reject(path, "there is no member '" + name + "'");
    return found->second;
  }
};

ZipReader::ZipReader(const fs::path& file) : archive_(std::make_unique<Archive>()) {
  archive_->path = file;
  archive_->handle = open_archive(file, ZIP_RDONLY);
  archive_->file_size = fs::file_size(file);
  std::uint64_t total = 0;
  const auto count = static_cast<zip_uint64_t>(zip_get_num_entries(archive_->handle.get(), 0));
  for (zip_uint64_t index = 0; index < count; ++index) {
    zip_stat_t about;
    constexpr zip_uint64_t kNeeded = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_METHOD;
    if (zip_stat_index(archive_->handle.get(), index, 0, &about) != 0 || (about.valid & kNeeded) != kNeeded)
      reject(file, "member " + std::to_string(index) + " has no readable directory entry");
    const std::string name = about.name;
    if (about.comp_method != ZIP_CM_STORE)
      reject(file, "member '" + name + "' is compressed; PyTorch stores its members as they are");
    if ((about.valid & ZIP_STAT_ENCRYPTION_METHOD) != 0 && about.encryption_method != ZIP_EM_NONE)
      reject(file, "member '" + name + "' is encrypted");
    if (__builtin_add_overflow(total, about.size, &total) || total > archive_->file_size)
      reject(file, "its members claim more bytes than the file's " + std::to_string(archive_->file_size));
    if (!archive_->members.emplace(name, Archive::Member{index, about.size}).second)
      reject(file, "member '" + name + "' appears twice");
    archive_->order.push_back(name);
  }
}

ZipReader::~ZipReader() = default;
ZipReader::ZipReader(ZipReader&&) noexcept = default;
ZipReader& ZipReader::operator=(ZipReader&&) noexcept = default;

const fs::path& ZipReader::path() const { return archive_->path; }
std::vector<std::string> ZipReader::names() const { return archive_->order; }
bool ZipReader::contains(const std::string& name) const { return archive_->members.contains(name); }
std::uint64_t ZipReader::size(const std::string& name) const { return archive_->member(name).bytes; }
std::uint64_t ZipReader::file_size() const { return archive_->file_size; }

std::vector<std::byte> ZipReader::read(const std::string& name) const {
  const Archive::Member& member = archive_->member(name);
  const auto damaged = [&](const std::string& reason) {
    reject(archive_->path, "member '" + name + "' is damaged: " + reason);
  };
  const std::unique_ptr<zip_file_t, Close> source(zip_fopen_index(archive_->handle.get(), member.index, 0));
  if (!source) damaged(zip_strerror(archive_->handle.get()));
  std::vector<std::byte> bytes(member.bytes);
  std::uint64_t done = 0;
  while (done < member.bytes) {
    const zip_int64_t got = zip_fread(source.get(), bytes.data() + done, member.bytes - done);
    if (got < 0) damaged(zip_file_strerror(source.get()));
    if (got == 0)
      damaged("it ends after " + std::to_string(done) + " of " + std::to_string(member.bytes) + " bytes");
    done += static_cast<std::uint64_t>(got);
  }
  std::byte beyond;  // libzip compares the CRC when it meets the end
  if (zip_fread(source.get(), &beyond, 1) != 0) damaged(zip_file_strerror(source.get()));
  return bytes;
}

void write_zip(const fs::path& file, std::span<const ZipMember> members) {
  const fs::path temporary = file.string() + ".tmp-" + make_uuid();
  const auto fail = [&](const std::string& reason) {
    std::error_code ignored;
    fs::remove(temporary, ignored);
    throw Error(ErrorCode::kUnavailable, file.string() + " cannot be written: " + reason);
  };
  int code = 0;
  Handle archive(zip_open(temporary.c_str(), ZIP_CREATE | ZIP_EXCL, &code));
  if (!archive) fail(reason_of(code) + ": " + std::strerror(errno));
  for (const ZipMember& member : members) {
    zip_source_t* source = zip_source_buffer(archive.get(), member.data.data(), member.data.size(), 0);
    if (source == nullptr) fail(zip_strerror(archive.get()));
    const zip_int64_t index = zip_file_add(archive.get(), member.name.c_str(), source, ZIP_FL_ENC_UTF_8);
    if (index < 0) zip_source_free(source);
    if (index < 0 ||
        zip_set_file_compression(archive.get(), static_cast<zip_uint64_t>(index), ZIP_CM_STORE, 0) != 0)
      fail("member '" + member.name + "': " + zip_strerror(archive.get()));
  }
  if (zip_close(archive.get()) != 0) fail(zip_strerror(archive.get()));
  static_cast<void>(archive.release());  // zip_close has freed it
  fsync_file(temporary);
  std::error_code error;
  fs::rename(temporary, file, error);
  if (error) fail(error.message());
  fsync_folder(fs::absolute(file).parent_path());
}

}  // namespace mdgen::format
