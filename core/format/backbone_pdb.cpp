#include "core/format/backbone_pdb.h"

#include <charconv>
#include <cmath>
#include <fstream>
#include <limits>
#include <string_view>

#include "core/base/error.h"

namespace mdgen::format {
namespace {

constexpr std::size_t kLastColumn = 54;
constexpr double kAbsent = std::numeric_limits<double>::quiet_NaN();
constexpr BackboneAtoms kNothing = {{{kAbsent, 0, 0}, {kAbsent, 0, 0}, {kAbsent, 0, 0}}};

// Columns are counted from 1, the last one included.
std::string_view columns(std::string_view line, std::size_t first, std::size_t last) {
  std::string_view text = line.substr(first - 1, last - first + 1);
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

int place_of(std::string_view atom) { return atom == "N" ? 0 : atom == "CA" ? 1 : atom == "C" ? 2 : -1; }

class Reader {
 public:
  explicit Reader(std::string name) : name_(std::move(name)) {}

  void take(std::string_view line) {
    ++line_;
    if (line.starts_with("MODEL")) start_model();
    if (!line.starts_with("ATOM")) return;
    if (line.size() < kLastColumn) fail("line " + std::to_string(line_) + " is too short for an atom");
    const std::string_view number = columns(line, 23, 27);
    if (number != number_ || residue_ == 0) start_residue(number, columns(line, 18, 20));
    const int place = place_of(columns(line, 13, 16));
    if (place < 0) return;
    auto& position = frames_.atoms.back()[static_cast<std::size_t>(place)];
    position = {value(columns(line, 31, 38)), value(columns(line, 39, 46)), value(columns(line, 47, 54))};
  }

  BackboneFrames end() {
    if (model_ == 0 && residue_ > 0) model_ = 1;
    end_model();
    if (frames_.residues.empty()) fail("it has no atoms");
    return std::move(frames_);
  }

 private:
  [[noreturn]] void fail(const std::string& problem) const {
    throw Error(ErrorCode::kDataLoss, name_ + ": " + problem);
  }
  std::string model() const { return "model " + std::to_string(std::max(model_, 1)); }

  double value(std::string_view text) const {
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(number))
      fail("line " + std::to_string(line_) + ": \"" + std::string(text) + "\" is not a coordinate");
    return number;
  }

  void start_model() {
    end_model();
    ++model_;
    residue_ = 0;
    number_.clear();
  }

  void end_model() {
    if (residue_ == 0) return;
    if (residue_ != frames_.residues.size())
      fail(model() + " has " + std::to_string(residue_) + " residues, the first one " +
           std::to_string(frames_.residues.size()));
    for (std::size_t i = 0; i < residue_; ++i)
      for (const auto& atom : frames_.atoms[frames_.atoms.size() - residue_ + i])
        if (std::isnan(atom[0])) fail(model() + ", residue " + std::to_string(i + 1) + ": no N, CA or C");
  }

  void start_residue(std::string_view number, std::string_view name) {
    number_ = number;
    if (model_ <= 1) {
      frames_.residues.emplace_back(name);
    } else if (residue_ >= frames_.residues.size() || frames_.residues[residue_] != name) {
      fail(model() + ", residue " + std::to_string(residue_ + 1) + " is not that of the first model");
    }
    frames_.atoms.push_back(kNothing);
    ++residue_;
  }

  std::string name_;
  BackboneFrames frames_;
  std::size_t line_ = 0;
  int model_ = 0;
  std::size_t residue_ = 0;  // of this model so far
  std::string number_;       // of the residue at hand, with its insertion code
};

}  // namespace

BackboneFrames read_backbone(const std::filesystem::path& file, std::size_t most_bytes) {
  std::error_code error;
  const auto bytes = std::filesystem::file_size(file, error);
  if (error == std::errc::no_such_file_or_directory)
    throw Error(ErrorCode::kNotFound, file.string() + ": no such file");
  if (error) throw Error(ErrorCode::kUnavailable, file.string() + ": " + error.message());
  if (bytes > most_bytes)
    throw Error(ErrorCode::kDataLoss, file.string() + ": " + std::to_string(bytes) + " bytes; at most " +
                                          std::to_string(most_bytes) + " are read");
  std::ifstream stream(file);
  if (!stream) throw Error(ErrorCode::kUnavailable, "cannot open " + file.string());
  Reader reader(file.string());
  for (std::string line; std::getline(stream, line);) reader.take(line);
  if (stream.bad()) throw Error(ErrorCode::kUnavailable, "cannot read " + file.string());
  return reader.end();
}

}  // namespace mdgen::format
