#include "core/comm/gloo/connections.h"

#include <gtest/gtest.h>

namespace mdgen::comm {
namespace {

TEST(RankNamedIn, WholeAddressOnly) {
  const Listeners listeners = {{"[10.0.0.1]:441", 0}, {"[10.0.0.1]:4411", 1}};
  EXPECT_EQ(rank_named_in("Read error [10.0.0.1]:4411: Connection reset by peer", listeners), 1);
  EXPECT_EQ(rank_named_in("Connection closed by peer [10.0.0.1]:441", listeners), 0);
  EXPECT_EQ(rank_named_in("Connection closed by peer [10.0.0.2]:441", listeners), -1);
}

}  // namespace
}  // namespace mdgen::comm
