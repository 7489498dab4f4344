#include "core/train/agreement.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <nlohmann/json.hpp>
#include <vector>

#include "core/base/text.h"
#include "core/train/failure.h"

namespace mdgen::train {
namespace {

using nlohmann::json;

at::Tensor to_bytes(const std::string& text, at::Device device) {
  at::Tensor bytes = at::empty({static_cast<std::int64_t>(text.size())}, at::kByte);
  std::memcpy(bytes.data_ptr(), text.data(), text.size());
  return bytes.to(device);
}

std::string to_text(const at::Tensor& bytes) {
  const at::Tensor host = bytes.cpu().contiguous();
  return {static_cast<const char*>(host.data_ptr()), static_cast<std::size_t>(host.numel())};
}

std::string dump(const json& envelope) {
  return envelope.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace

std::string broadcast_text(comm::Collective& collective, at::Device device, const std::string& text,
                           int root) {
  at::Tensor size = at::full({1}, static_cast<std::int64_t>(text.size()), at::kLong).to(device);
  collective.broadcast(size, root);
  at::Tensor bytes = collective.rank() == root
                         ? to_bytes(text, device)
                         : at::empty({size.item<std::int64_t>()}, at::dtype(at::kByte).device(device));
  if (bytes.numel() > 0) collective.broadcast(bytes, root);
  return to_text(bytes);
}

std::string agree(comm::Collective& collective, at::Device device,
                  const std::function<std::string()>& decide) {
  if (collective.rank() != 0) {
    const json envelope = json::parse(broadcast_text(collective, device, "", 0));
    if (envelope.contains("value")) return envelope["value"];
    throw RunFailure(static_cast<ErrorCode>(envelope["code"].get<int>()), envelope["reason"],
                     "rank 0: " + envelope["message"].get<std::string>());
  }
  std::string value;
  json envelope;
  std::exception_ptr failure;
  try {
    value = decide();
    envelope["value"] = value;
  } catch (const comm::CollectiveError&) {
    throw;
  } catch (const std::exception& error) {
    failure = std::current_exception();
    const FailureText text = describe_failure(error);
    envelope = {{"code", static_cast<int>(text.code)}, {"reason", text.reason}, {"message", text.message}};
  }
  try {
    broadcast_text(collective, device, dump(envelope), 0);
  } catch (const std::exception&) {
    if (!failure) throw;  // else the decision's own failure is the one to tell
  }
  if (failure) std::rethrow_exception(failure);
  return value;
}

void require_equal_digests(comm::Collective& collective, at::Device device, const std::string& what,
                           const std::string& digest) {
  const std::vector<at::Tensor> all = collective.all_gather(to_bytes(digest, device));
  const std::string first = to_text(all.front());
  std::vector<std::string> others;
  for (std::size_t rank = 1; rank < all.size(); ++rank) {
    if (to_text(all[rank]) != first) others.push_back(std::to_string(rank));
  }
  if (others.empty()) return;
  throw RunFailure(ErrorCode::kInternal, "ReplicaDiverged",
                   what + " differs from rank 0's on rank " + join(others, ", ") + " (rank 0: " + first +
                       ", this rank: " + digest + ")");
}

std::vector<std::string> gather_texts(comm::Collective& collective, at::Device device,
                                      const std::string& text) {
  const auto own = static_cast<std::int64_t>(text.size());
  std::vector<std::int64_t> sizes;
  for (const at::Tensor& size : collective.all_gather(at::full({1}, own, at::kLong).to(device))) {
    sizes.push_back(size.item<std::int64_t>());
  }
  const std::int64_t longest = *std::max_element(sizes.begin(), sizes.end());
  std::vector<std::string> texts(sizes.size());
  if (longest == 0) return texts;
  std::string padded = text;
  padded.resize(static_cast<std::size_t>(longest));
  const std::vector<at::Tensor> all = collective.all_gather(to_bytes(padded, device));
  for (std::size_t rank = 0; rank < all.size(); ++rank) {
    texts[rank] = to_text(all[rank].narrow(0, 0, sizes[rank]));
  }
  return texts;
}

}  // namespace mdgen::train
