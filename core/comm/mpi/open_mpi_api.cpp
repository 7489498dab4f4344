// The plug-in libmdgen_mpi.so: MpiApi on the real MPI.
#define OMPI_SKIP_MPICXX 1
#include <mpi.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "core/comm/mpi/mpi_api.h"

namespace mdgen::comm {
namespace {

// MPI counts in int.
constexpr std::int64_t kMostAtOnce = std::int64_t{1} << 30;

std::string text_of(int result, const char* call) {
  if (result == MPI_SUCCESS) return "";
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(result, text, &length);
  return std::string(call) + ": " + std::string(text, static_cast<std::size_t>(length));
}

template <typename Half>
void add_halves(void* in, void* inout, int* count, MPI_Datatype*) {
  const auto* left = static_cast<const Half*>(in);
  auto* right = static_cast<Half*>(inout);
  for (int i = 0; i < *count; ++i) {
    right[i] = static_cast<Half>(static_cast<float>(left[i]) + static_cast<float>(right[i]));
  }
}

struct Kind {
  MPI_Datatype type;
  MPI_Op sum;
};

MPI_Comm comm_of(const MpiApi::Communicator& communicator) {
  return *static_cast<MPI_Comm*>(communicator.get());
}

class OpenMpi : public MpiApi {
 public:
  std::string init(int& rank, int& world_size) override {
    int provided = 0;
    std::string text =
        text_of(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided), "MPI_Init_thread");
    if (!text.empty()) return text;
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &world_size);
    MPI_Type_contiguous(2, MPI_BYTE, &two_bytes_);
    MPI_Type_commit(&two_bytes_);
    MPI_Op_create(add_halves<at::Half>, 1, &sum_half_);
    MPI_Op_create(add_halves<at::BFloat16>, 1, &sum_bfloat_);
    return "";
  }
  std::string finalize() override { return text_of(MPI_Finalize(), "MPI_Finalize"); }

  std::string make_communicator(Communicator& communicator) override {
    auto made = std::make_shared<MPI_Comm>(MPI_COMM_NULL);
    std::string text = text_of(MPI_Comm_dup(MPI_COMM_WORLD, made.get()), "MPI_Comm_dup");
    communicator = std::move(made);
    return text;
  }

  std::string all_reduce(const Communicator& communicator, const at::Tensor& tensor) override {
    return by_pieces(tensor, "MPI_Allreduce", [&](void* data, int count, const Kind& kind) {
      return MPI_Allreduce(MPI_IN_PLACE, data, count, kind.type, kind.sum, comm_of(communicator));
    });
  }
  std::string broadcast(const Communicator& communicator, const at::Tensor& tensor, int root) override {
    return by_pieces(tensor, "MPI_Bcast", [&](void* data, int count, const Kind& kind) {
      return MPI_Bcast(data, count, kind.type, root, comm_of(communicator));
    });
  }

  std::string all_gather(const Communicator& communicator, const at::Tensor& output,
                         const at::Tensor& input) override {
    const std::optional<Kind> kind = kind_of(input.scalar_type());
    if (!kind) return unsupported(input.scalar_type());
    if (input.numel() > kMostAtOnce) return too_many(input.numel());
    const auto count = static_cast<int>(input.numel());
    int rank = 0;
    MPI_Comm_rank(comm_of(communicator), &rank);
    const char* own = static_cast<char*>(output.data_ptr()) + static_cast<std::size_t>(rank) * input.nbytes();
    const void* from = input.data_ptr() == own ? MPI_IN_PLACE : input.data_ptr();
    return text_of(
        MPI_Allgather(from, count, kind->type, output.data_ptr(), count, kind->type, comm_of(communicator)),
        "MPI_Allgather");
  }

  std::string all_to_all(const Communicator& communicator, const at::Tensor& output,
                         const std::vector<std::int64_t>& output_splits, const at::Tensor& input,
                         const std::vector<std::int64_t>& input_splits) override {
    const std::optional<Kind> kind = kind_of(input.scalar_type());
    if (!kind) return unsupported(input.scalar_type());
    if (std::max(input.numel(), output.numel()) > std::numeric_limits<int>::max()) {
      return too_many(std::max(input.numel(), output.numel()));
    }
    const Pieces out(input_splits);
    const Pieces in(output_splits);
    return text_of(
        MPI_Alltoallv(input.data_ptr(), out.counts.data(), out.offsets.data(), kind->type, output.data_ptr(),
                      in.counts.data(), in.offsets.data(), kind->type, comm_of(communicator)),
        "MPI_Alltoallv");
  }

  std::string barrier(const Communicator& communicator) override {
    return text_of(MPI_Barrier(comm_of(communicator)), "MPI_Barrier");
  }

 private:
  struct Pieces {
    explicit Pieces(const std::vector<std::int64_t>& splits) {
      int at = 0;
      for (const std::int64_t split : splits) {
        counts.push_back(static_cast<int>(split));
        offsets.push_back(at);
        at += counts.back();
      }
    }
    std::vector<int> counts, offsets;
  };

  std::optional<Kind> kind_of(at::ScalarType type) const {
    switch (type) {
      case at::kFloat:
        return Kind{MPI_FLOAT, MPI_SUM};
      case at::kDouble:
        return Kind{MPI_DOUBLE, MPI_SUM};
      case at::kHalf:
        return Kind{two_bytes_, sum_half_};
      case at::kBFloat16:
        return Kind{two_bytes_, sum_bfloat_};
      case at::kLong:
        return Kind{MPI_INT64_T, MPI_SUM};
      case at::kInt:
        return Kind{MPI_INT32_T, MPI_SUM};
      case at::kChar:
        return Kind{MPI_INT8_T, MPI_SUM};
      case at::kByte:
        return Kind{MPI_UINT8_T, MPI_SUM};
      default:
        return std::nullopt;
    }
  }
  static std::string unsupported(at::ScalarType type) {
    return std::string("element type ") + c10::toString(type) + " is not supported over MPI";
  }
  static std::string too_many(std::int64_t elements) {
    return std::to_string(elements) + " elements are more than MPI can move at once";
  }

  template <typename Call>
  std::string by_pieces(const at::Tensor& tensor, const char* name, const Call& call) {
    const std::optional<Kind> kind = kind_of(tensor.scalar_type());
    if (!kind) return unsupported(tensor.scalar_type());
    auto* data = static_cast<char*>(tensor.data_ptr());
    for (std::int64_t at = 0; at < tensor.numel(); at += kMostAtOnce) {
      const std::int64_t count = std::min(kMostAtOnce, tensor.numel() - at);
      std::string text = text_of(
          call(data + at * static_cast<std::int64_t>(tensor.element_size()), static_cast<int>(count), *kind),
          name);
      if (!text.empty()) return text;
    }
    return "";
  }

  MPI_Datatype two_bytes_ = MPI_DATATYPE_NULL;
  MPI_Op sum_half_ = MPI_OP_NULL;
  MPI_Op sum_bfloat_ = MPI_OP_NULL;
};

}  // namespace
}  // namespace mdgen::comm

extern "C" __attribute__((visibility("default"))) void mdgen_make_mpi_api(
    std::unique_ptr<mdgen::comm::MpiApi>* api) {
  *api = std::make_unique<mdgen::comm::OpenMpi>();
}
