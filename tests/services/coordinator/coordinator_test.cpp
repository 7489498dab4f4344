// The engine behind its mutex: store before telling, waits, threads. No sockets, so that ThreadSanitizer sees
// all of it.
#include "services/coordinator/coordinator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <future>

#include "tests/services/coordinator/coordinator_fixture.h"

namespace mdgen::coordinator {
namespace {

using namespace std::chrono_literals;
using testing::CoordinatorTest;
using testing::World;

// An agent whose trainers do as they are told, at once, on a thread of its own.
class ObedientAgent : public AgentSink, public std::enable_shared_from_this<ObedientAgent> {
 public:
  explicit ObedientAgent(Coordinator& coordinator) : coordinator_(coordinator) {}
  ~ObedientAgent() override { join(); }

  void begin(const v1::Register& identity) {
    id_ = coordinator_.connect(shared_from_this(), identity);
    thread_ = std::thread([this, incarnation = identity.incarnation()] { live(incarnation); });
  }
  void send(const v1::CoordinatorMessage& message) override {
    const std::lock_guard lock(mutex_);
    inbox_.push_back(message);
    arrived_.notify_one();
  }
  void close(const std::string&) override {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    arrived_.notify_one();
  }
  void join() {
    if (thread_.joinable()) thread_.join();
  }

 private:
  std::optional<v1::CoordinatorMessage> next() {
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [&] { return closed_ || !inbox_.empty(); });
    if (inbox_.empty()) return std::nullopt;
    const v1::CoordinatorMessage message = inbox_.front();
    inbox_.pop_front();
    return message;
  }
  void live(const std::string& incarnation) {
    while (const auto message = next()) {
      if (message->has_shutdown()) break;
      if (message->has_start()) train(message->start(), incarnation);
    }
    coordinator_.agent_gone(id_, weak_from_this().lock());  // null in the destructor: nobody
  }
  void train(const v1::Assignment& assignment, const std::string& incarnation) {
    v1::ExchangeRequest request;
    *request.mutable_id() = assignment.id();
    request.set_rank(assignment.rank());
    request.set_incarnation(incarnation);
    std::atomic<int> blobs{0};
    coordinator_.exchange(coordinator_.new_ticket(), request,
                          [&](const ExchangeAnswer& answer) { blobs = answer.superseded ? -1 : 1; });
    while (blobs == 0) std::this_thread::yield();
    v1::AgentMessage message;
    v1::TrainerEvent& event = *message.mutable_trainer();
    *event.mutable_id() = assignment.id();
    event.set_rank(assignment.rank());
    const auto say = [&] { coordinator_.agent_message(id_, shared_from_this(), message); };
    if (assignment.rank() == 0) {
      event.mutable_started();
      say();
      for (int step = 1; step <= assignment.plan().end_step(); ++step) {
        event.mutable_step()->set_step(step);
        say();
      }
      event.mutable_checkpoint()->set_step(assignment.plan().end_step());
      event.mutable_checkpoint()->set_folder("checkpoint");
      event.mutable_checkpoint()->set_verified(true);
      say();
    }
    event.mutable_finished()->set_outcome(v1::OUTCOME_COMPLETED);
    say();
    event.mutable_exited();
    say();
  }

  Coordinator& coordinator_;
  std::string id_;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<v1::CoordinatorMessage> inbox_;
  bool closed_ = false;
  std::thread thread_;
};

TEST_F(CoordinatorTest, ManyThreadsAtOnce) {
  std::vector<std::shared_ptr<ObedientAgent>> agents;
  for (int i = 0; i < 4; ++i) {
    agents.push_back(std::make_shared<ObedientAgent>(*coordinator));
    agents.back()->begin(World::identity("i" + std::to_string(i)));
  }
  std::vector<std::thread> clients;
  std::atomic<int> succeeded{0};
  for (int client = 0; client < 3; ++client) {
    clients.emplace_back([&, client] {
      for (int i = 0; i < 5; ++i) {
        const std::string name = "run-" + std::to_string(client) + "-" + std::to_string(i);
        const v1::Job job = coordinator->submit(access::Caller{}, spec(name, 1 + i % 3), name);
        coordinator->list({});
        const auto ended = coordinator->wait(job.id(), 30s);
        if (ended && ended->state() == v1::JOB_STATE_SUCCEEDED) ++succeeded;
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(succeeded, 15);
  coordinator->dismiss_workers(10s);
  EXPECT_EQ(coordinator->worker_count(), 0U);
  for (const auto& agent : agents) agent->join();
}

TEST_F(CoordinatorTest, WaitGivesUpInTime) {
  const std::string id = coordinator->submit(access::Caller{}, spec("run"), "").id();
  EXPECT_FALSE(coordinator->wait(id, 10ms));
  coordinator->cancel(access::Caller{}, id, 0s);
  EXPECT_EQ(coordinator->wait(id, 10s)->state(), v1::JOB_STATE_CANCELLED);
  EXPECT_THROW(coordinator->wait("nobody", 1ms), Error);
  EXPECT_THROW(coordinator->cancel(access::Caller{}, id, -1s), Error);
}

TEST_F(CoordinatorTest, ARepeatedRequestIsNotAnsweredBeforeTheJobIsStored) {
  store->broken = true;
  EXPECT_THROW(coordinator->submit(access::Caller{}, spec("run"), "request"), Error);
  EXPECT_THROW(coordinator->submit(access::Caller{}, spec("run"), "request"), Error);
  store->broken = false;
  const std::string id = coordinator->submit(access::Caller{}, spec("run"), "request").id();
  EXPECT_EQ(coordinator->list({}).jobs_size(), 1);
  coordinator->stop();
  EXPECT_NO_THROW((void)store->saved_state(id));
}

TEST_F(CoordinatorTest, StoresWhatIsNotYetDueWhenItStops) {
  const auto agent = std::make_shared<ObedientAgent>(*coordinator);
  agent->begin(World::identity("i0"));
  const std::string id = coordinator->submit(access::Caller{}, spec("run"), "").id();
  ASSERT_TRUE(coordinator->wait(id, 10s));
  coordinator->stop();
  EXPECT_EQ(store->saved_state(id), v1::JOB_STATE_SUCCEEDED);
  EXPECT_EQ(store->ledger(id).back().last_step(), 20);
  agent->close("");
}

// An agent that only remembers.
class QuietAgent : public AgentSink {
 public:
  void send(const v1::CoordinatorMessage& message) override {
    const std::lock_guard lock(mutex_);
    queued_.push_back(message);
  }
  void flush() override {
    const std::lock_guard lock(mutex_);
    sent_.insert(sent_.end(), queued_.begin(), queued_.end());
    queued_.clear();
    arrived_.notify_all();
  }
  void close(const std::string&) override {}
  // The first message that `wanted` holds for; empty when none comes within ten seconds.
  v1::CoordinatorMessage wait_for(const std::function<bool(const v1::CoordinatorMessage&)>& wanted) {
    std::unique_lock lock(mutex_);
    v1::CoordinatorMessage found;
    arrived_.wait_for(lock, 10s, [&] {
      const auto first = std::find_if(sent_.begin(), sent_.end(), wanted);
      if (first != sent_.end()) found = *first;
      return first != sent_.end();
    });
    return found;
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<v1::CoordinatorMessage> queued_, sent_;
};

TEST_F(CoordinatorTest, WhatComesWhileTheDiskIsSlowDoesNotWaitAndIsStoredTogether) {
  const auto agent = std::make_shared<QuietAgent>();
  const std::string worker = coordinator->connect(agent, World::identity("i0"));
  const std::string id = coordinator->submit(access::Caller{}, spec("run"), "").id();
  const v1::Assignment start =
      agent->wait_for([](const v1::CoordinatorMessage& message) { return message.has_start(); }).start();
  v1::AgentMessage message;
  *message.mutable_trainer()->mutable_id() = start.id();
  const auto say = [&](std::uint64_t number) {
    message.set_acknowledge(number);
    coordinator->agent_message(worker, agent, message);
  };
  const auto taken = [&](std::uint64_t number) {
    return agent
        ->wait_for([=](const v1::CoordinatorMessage& answer) { return answer.taken().number() == number; })
        .has_taken();
  };
  message.mutable_trainer()->mutable_started();
  say(1);
  ASSERT_TRUE(taken(1));

  std::promise<void> writing, go_on;
  std::once_flag once;
  int saves = 0;
  store->on_save = [&] {
    ++saves;
    std::call_once(once, [&] {
      writing.set_value();
      go_on.get_future().wait();
    });
  };
  const auto checkpoint = [&](int step) {
    message.mutable_trainer()->mutable_checkpoint()->set_step(step);
    message.mutable_trainer()->mutable_checkpoint()->set_folder("step-" + std::to_string(step));
    message.mutable_trainer()->mutable_checkpoint()->set_verified(true);
    say(static_cast<std::uint64_t>(step));
  };
  checkpoint(2);
  writing.get_future().wait();
  for (int step = 3; step <= 50; ++step) checkpoint(step);  // returns although the store does not
  go_on.set_value();
  EXPECT_TRUE(taken(50));
  coordinator->stop();
  store->on_save = nullptr;
  EXPECT_EQ(coordinator->job(id).checkpoint_step(), 50);
  EXPECT_LE(saves, 4) << "one for the first, one for all that came meanwhile";
}

}  // namespace
}  // namespace mdgen::coordinator
