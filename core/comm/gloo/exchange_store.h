// A c10d::Store on top of Exchange, for a Gloo group that forms. Gloo's rendezvous has each rank set keys of
// its own and then wait for those of the others: a wait for an unknown key posts all that was set since the
// last round and takes in what the others posted.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <torch/csrc/distributed/c10d/Store.hpp>
#include <vector>

#include "core/comm/collective.h"

namespace mdgen::comm {

// Every rank must go through the same rounds; a key that nobody has set when a rank has nothing left to post
// is Error(kInternal) naming it. Errors of `exchange` pass through.
class ExchangeStore : public c10d::Store {
 public:
  ExchangeStore(Exchange exchange, std::string prefix);

  using c10d::Store::set;
  c10::intrusive_ptr<c10d::Store> clone() override;
  void set(const std::string& key, const std::vector<std::uint8_t>& value) override;
  std::vector<std::uint8_t> get(const std::string& key) override;
  std::int64_t add(const std::string& key, std::int64_t value) override;
  bool deleteKey(const std::string& key) override;
  bool check(const std::vector<std::string>& keys) override;
  std::int64_t getNumKeys() override;
  void wait(const std::vector<std::string>& keys) override;
  void wait(const std::vector<std::string>& keys, const std::chrono::milliseconds& timeout) override;

 private:
  bool holds_locked(const std::vector<std::string>& keys) const;
  void exchange_locked();

  Exchange exchange_;
  std::string prefix_;
  std::mutex mutex_;
  int round_ = 0;
  std::map<std::string, std::vector<std::uint8_t>> values_;
  std::map<std::string, std::vector<std::uint8_t>> unsent_;
};

}  // namespace mdgen::comm
