#include "services/version/grpc_version.h"

#include <atomic>
#include <utility>

#include "services/version/version.h"

namespace mdgen::version {
namespace {

using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::InterceptorBatchMethods;

class Teller final : public grpc::experimental::Interceptor {
 public:
  void Intercept(InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_INITIAL_METADATA))
      methods->GetSendInitialMetadata()->emplace(kVersionField, program_version());
    methods->Proceed();
  }
};

class TellerFactory final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  grpc::experimental::Interceptor* CreateServerInterceptor(grpc::experimental::ServerRpcInfo*) override {
    return new Teller;  // gRPC's
  }
};

// Shared by the calls of a channel.
struct Comparison {
  Advise advise;
  std::atomic_flag done;
};

class Comparer final : public grpc::experimental::Interceptor {
 public:
  explicit Comparer(std::shared_ptr<Comparison> comparison) : comparison_(std::move(comparison)) {}

  void Intercept(InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_INITIAL_METADATA))
      methods->GetSendInitialMetadata()->emplace(kVersionField, program_version());
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_INITIAL_METADATA))
      compare(*methods);
    methods->Proceed();
  }

 private:
  void compare(InterceptorBatchMethods& methods) {
    const auto* fields = methods.GetRecvInitialMetadata();
    if (fields == nullptr) return;
    const auto found = fields->find(kVersionField);
    if (found == fields->end()) return;
    const auto advice = advise_client(program_version(), {found->second.data(), found->second.size()});
    if (advice && !comparison_->done.test_and_set()) comparison_->advise(*advice);
  }

  std::shared_ptr<Comparison> comparison_;
};

class ComparerFactory final : public grpc::experimental::ClientInterceptorFactoryInterface {
 public:
  explicit ComparerFactory(Advise advise) : comparison_(std::make_shared<Comparison>()) {
    comparison_->advise = std::move(advise);
  }
  grpc::experimental::Interceptor* CreateClientInterceptor(grpc::experimental::ClientRpcInfo*) override {
    return new Comparer(comparison_);  // gRPC's
  }

 private:
  std::shared_ptr<Comparison> comparison_;
};

}  // namespace

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> tell_version() {
  return std::make_unique<TellerFactory>();
}

std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface> compare_versions(Advise advise) {
  return std::make_unique<ComparerFactory>(std::move(advise));
}

}  // namespace mdgen::version
