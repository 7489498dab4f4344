#include "services/trainer/outbox.h"

#include <gtest/gtest.h>

#include <thread>

namespace mdgen::trainer {
namespace {

v1::TrainerMessage beat(std::int64_t step) {
  v1::TrainerMessage message;
  message.mutable_beat()->set_step(step);
  return message;
}

v1::TrainerMessage step(std::int64_t number) {
  v1::TrainerMessage message;
  message.mutable_step()->set_step(number);
  return message;
}

TEST(Outbox, Reports_StayInOrderAndBeatsReplaceEachOther) {
  Outbox outbox;
  outbox.push(beat(1));
  outbox.push(step(1));
  outbox.push(beat(2));
  outbox.push(step(2));
  outbox.push(beat(3));
  outbox.close();
  EXPECT_EQ(outbox.pop()->step().step(), 1);
  EXPECT_EQ(outbox.pop()->step().step(), 2);
  EXPECT_EQ(outbox.pop()->beat().step(), 3);
  EXPECT_FALSE(outbox.pop().has_value());
}

TEST(Outbox, Closed_TakesNothingMore) {
  Outbox outbox;
  outbox.close();
  outbox.push(step(1));
  EXPECT_FALSE(outbox.pop().has_value());
}

TEST(Outbox, Close_WakesTheWaitingReader) {
  Outbox outbox;
  bool empty = false;
  std::thread reader([&] { empty = !outbox.pop().has_value(); });
  outbox.close();
  reader.join();
  EXPECT_TRUE(empty);
}

}  // namespace
}  // namespace mdgen::trainer
