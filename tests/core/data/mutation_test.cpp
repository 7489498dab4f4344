// Thousands of spoilt headers and tables: each is read or refused, quickly, with a message of bounded length.
#include <gtest/gtest.h>

#include <functional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/data/csv.h"
#include "core/data/split.h"
#include "core/format/npy.h"

namespace mdgen::data {
namespace {

constexpr int kRounds = 30'000;
constexpr std::size_t kLongestMessage = 300;

class Mutator {
 public:
  Mutator(std::uint64_t seed, std::vector<std::string> pieces) : random_(seed), pieces_(std::move(pieces)) {}

  std::string operator()(std::string text) {
    for (std::size_t i = 1 + below(4); i > 0; --i) {
      const std::size_t at = below(text.size() + 1);
      switch (below(5)) {
        case 0:
          text.insert(at, 1, static_cast<char>(below(256)));
          break;
        case 1:
          text.erase(at, below(8));
          break;
        case 2:
          if (at < text.size()) text[at] = static_cast<char>(below(256));
          break;
        case 3:
          text.insert(at, pieces_[below(pieces_.size())]);
          break;
        default:
          text.insert(at, text.substr(below(text.size() + 1), below(20)));
      }
    }
    return text;
  }
  std::size_t below(std::size_t limit) {
    return std::uniform_int_distribution<std::size_t>(0, limit - 1)(random_);
  }

 private:
  std::mt19937_64 random_;
  std::vector<std::string> pieces_;
};

std::string npy_file(const std::string& dictionary, char version) {
  std::string bytes = "\x93NUMPY";
  bytes += version;
  bytes += '\0';
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i)
    bytes += static_cast<char>(dictionary.size() >> (8 * i) & 0xff);
  return bytes + dictionary;
}

// True when it was accepted.
bool accepted(const std::function<void()>& read) {
  try {
    read();
    return true;
  } catch (const Error& error) {
    EXPECT_LT(std::string_view(error.what()).size(), kLongestMessage) << error.what();
    return false;
  }
}

TEST(Mutation, NpyHeaders) {
  Mutator mutate(1, {"9999999999999999999", "4611686018427387904, ", "-1", "(", ")", "'", "\"", "{", "}", ",",
                     ":", "True", "'descr'", "'shape': (2, 3)", "'|O'", "[", "L", "0", std::string(3, '\0')});
  const std::string good = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3, 14, 3), }    \n";
  int reads = 0;
  for (int round = 0; round < kRounds; ++round) {
    const char version = static_cast<char>(1 + round % 3);
    std::string bytes = round % 2 == 0 ? npy_file(mutate(good), version) : mutate(npy_file(good, version));
    const std::size_t size = bytes.size() + (mutate.below(4) == 0 ? mutate.below(2000) : 2 * 3 * 14 * 3 * 4);
    reads += accepted([&] {
      const format::NpyHeader header = format::parse_npy_header(bytes, size, "a.npy");
      std::size_t wanted = header.item_size;
      for (const std::int64_t dimension : header.shape) wanted *= static_cast<std::size_t>(dimension);
      EXPECT_EQ(header.data_offset + wanted, size);
    });
  }
  EXPECT_GT(reads, kRounds / 100);
  EXPECT_LT(reads, kRounds);
}

TEST(Mutation, EveryBeginningOfAnNpyFile) {
  const std::string whole = npy_file("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", 2);
  for (std::size_t length = 0; length < whole.size(); ++length)
    EXPECT_FALSE(accepted([&] { format::parse_npy_header(whole.substr(0, length), length, "a.npy"); }))
        << length;
  EXPECT_TRUE(accepted([&] { format::parse_npy_header(whole, whole.size() + 12, "a.npy"); }));
}

TEST(Mutation, Tables) {
  Mutator mutate(
      2, {"\"", "\"\"", ",", "\n", "\r\n", "\r", "\xEF\xBB\xBF", "\xFF\xFE", "..", "/", "name", ",,\n"});
  const std::string good = "name,seqres,more\np1,ACDE,\"x\"\n\"p2\",\"GG\",\"a,b\"\np3,ACD,\"two\nlines\"\n";
  int reads = 0;
  for (int round = 0; round < kRounds; ++round) {
    const std::string text = mutate(good);
    reads += accepted([&] {
      int last = 0;
      for (const CsvRow& row : parse_csv(text, "t.csv")) {
        EXPECT_GT(row.line, last);
        EXPECT_FALSE(row.fields.empty());
        last = row.line;
      }
    });
  }
  EXPECT_GT(reads, kRounds / 100);
  EXPECT_LT(reads, kRounds);
}

TEST(Mutation, Sequences) {
  Mutator mutate(3, {"X", "a", std::string(1, '\0'), "\xC3\xA9"});
  for (int round = 0; round < kRounds; ++round)
    EXPECT_LT(sequence_problem(mutate("ARNDCQEGHILKMFPSTWYV")).size(), kLongestMessage);
}

}  // namespace
}  // namespace mdgen::data
