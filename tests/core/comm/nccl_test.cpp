#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/comm/nccl/nccl_collective.h"

namespace mdgen::comm {
namespace {}  // namespace
}  // namespace mdgen::comm
