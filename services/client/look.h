// How text looks on a terminal: colours, widths, what fits. Pure functions.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "mdgen/v1/job.pb.h"

namespace mdgen::client {

// What the output can show.
struct Look {
  bool colours = false;
  bool utf8 = false;        // block characters for bars and curves
  std::size_t columns = 0;  // 0: it is no terminal
  std::size_t rows = 0;
};

enum class Tint { kNone, kHead, kGood, kBad, kWarn, kBusy, kDim };

// `text` in that colour; unchanged without colours.
std::string tinted(const std::string& text, Tint tint, const Look& look);

// Green: runs or is done well; yellow: waits or changes; red: failed.
Tint tint_of(v1::JobState state);

// Characters that take a column: UTF-8 counts by code point, colours not at all.
std::size_t width_of(std::string_view text);

// The first `columns` of it, with its colours ended.
std::string fitted(std::string_view text, std::size_t columns);

}  // namespace mdgen::client
