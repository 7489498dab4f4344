#include "core/model/sequence_head.h"

namespace mdgen::model {

SequenceHead::SequenceHead(std::int64_t dim)
    : fc1(dim, dim), fc2(dim, dim), fc3(dim, dim), emb_to_logits(dim, kSequenceChannels) {}

at::Tensor SequenceHead::forward(const at::Tensor& x) {
  const at::Tensor of_residues = fc2(at::gelu(fc1(x))).mean(1);
  return emb_to_logits(at::gelu(fc3(of_residues)));
}

}  // namespace mdgen::model
