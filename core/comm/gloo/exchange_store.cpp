#include "core/comm/gloo/exchange_store.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "core/base/error.h"

namespace mdgen::comm {
namespace {

using Values = std::map<std::string, std::vector<std::uint8_t>>;

std::string encode(const Values& values) {
  nlohmann::json object = nlohmann::json::object();
  for (const auto& [key, value] : values) object[key] = nlohmann::json::binary(value);
  std::string blob;
  nlohmann::json::to_cbor(object, blob);
  return blob;
}

Values decode(const std::string& blob, std::size_t rank) {
  try {
    Values values;
    const nlohmann::json object = nlohmann::json::from_cbor(blob);
    for (const auto& [key, value] : object.items()) values[key] = value.get_binary();
    return values;
  } catch (const nlohmann::json::exception& error) {
    throw Error(ErrorCode::kInternal,
                "rank " + std::to_string(rank) + " posted an unreadable rendezvous blob: " + error.what());
  }
}

[[noreturn]] void unsupported(const char* operation) {
  throw Error(ErrorCode::kInternal, std::string("the rendezvous store does not offer '") + operation + "'");
}

}  // namespace

ExchangeStore::ExchangeStore(Exchange exchange, std::string prefix)
    : exchange_(std::move(exchange)), prefix_(std::move(prefix)) {}

c10::intrusive_ptr<c10d::Store> ExchangeStore::clone() {
  return c10::intrusive_ptr<c10d::Store>::unsafe_reclaim_from_nonowning(this);
}

void ExchangeStore::set(const std::string& key, const std::vector<std::uint8_t>& value) {
  const std::lock_guard lock(mutex_);
  values_[key] = value;
  unsent_[key] = value;
}

std::vector<std::uint8_t> ExchangeStore::get(const std::string& key) {
  wait({key});
  const std::lock_guard lock(mutex_);
  return values_.at(key);
}

std::int64_t ExchangeStore::add(const std::string&, std::int64_t) { unsupported("add"); }
bool ExchangeStore::deleteKey(const std::string&) { unsupported("deleteKey"); }

bool ExchangeStore::check(const std::vector<std::string>& keys) {
  const std::lock_guard lock(mutex_);
  return holds_locked(keys);
}

std::int64_t ExchangeStore::getNumKeys() {
  const std::lock_guard lock(mutex_);
  return static_cast<std::int64_t>(values_.size());
}

void ExchangeStore::wait(const std::vector<std::string>& keys) { wait(keys, timeout_); }

void ExchangeStore::wait(const std::vector<std::string>& keys, const std::chrono::milliseconds&) {
  const std::lock_guard lock(mutex_);
  while (!holds_locked(keys)) {
    if (unsent_.empty()) {
      throw Error(ErrorCode::kInternal, "no rank has posted the rendezvous key '" + keys.back() + "'");
    }
    exchange_locked();
  }
}

bool ExchangeStore::holds_locked(const std::vector<std::string>& keys) const {
  for (const std::string& key : keys) {
    if (!values_.contains(key)) return false;
  }
  return true;
}

void ExchangeStore::exchange_locked() {
  const std::string name = prefix_ + "/" + std::to_string(round_++);
  const std::vector<std::string> blobs = exchange_(name, encode(std::exchange(unsent_, {})));
  for (std::size_t rank = 0; rank < blobs.size(); ++rank) {
    for (auto& [key, value] : decode(blobs[rank], rank)) values_.insert_or_assign(key, std::move(value));
  }
}

}  // namespace mdgen::comm
