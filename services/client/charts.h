// Bars and curves of one line. Pure functions.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace mdgen::client {

// "[=====>    ]" or "[█████▌    ]", `width` columns with its brackets; `fraction` outside 0 to 1 is cut.
std::string progress_bar(double fraction, std::size_t width, bool utf8);

// "▁▂▅█" or "._=#": the means of `width` pieces (or all values, if these are fewer), from the smallest to the
// largest; a piece without a finite value is '!'. Empty without values.
std::string sparkline(std::span<const double> values, std::size_t width, bool utf8);

}  // namespace mdgen::client
