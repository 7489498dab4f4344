#include "core/model/recompute.h"

#include <ATen/autocast_mode.h>

#include <algorithm>
#include <set>
#include <utility>

namespace mdgen::model {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using Run = std::function<at::Tensor(const std::vector<at::Tensor>&)>;

// The thread's autocast settings for a device, for a scope. Casts of weights are not cached in it: what is
// cached without a graph would be used where a graph is needed.
class AutocastSettings {
 public:
  static AutocastSettings of(at::DeviceType device) {
    AutocastSettings settings;
    settings.device_ = device;
    settings.enabled_ = at::autocast::is_autocast_enabled(device);
    settings.type_ = at::autocast::get_autocast_dtype(device);
    settings.cache_ = at::autocast::is_autocast_cache_enabled();
    return settings;
  }
  void set() const {
    at::autocast::set_autocast_enabled(device_, enabled_);
    at::autocast::set_autocast_dtype(device_, type_);
    at::autocast::set_autocast_cache_enabled(cache_);
  }
  AutocastSettings without_cache() const {
    AutocastSettings settings = *this;
    settings.cache_ = false;
    return settings;
  }

 private:
  at::DeviceType device_ = at::kCPU;
  bool enabled_ = false;
  at::ScalarType type_ = at::kFloat;
  bool cache_ = true;
};

class AutocastScope {
 public:
  explicit AutocastScope(const AutocastSettings& settings, at::DeviceType device)
      : before_(AutocastSettings::of(device)) {
    settings.set();
  }
  ~AutocastScope() { before_.set(); }
  AutocastScope(const AutocastScope&) = delete;
  AutocastScope& operator=(const AutocastScope&) = delete;

 private:
  AutocastSettings before_;
};

// What backward needs beside tensors.
struct Plan : torch::CustomClassHolder {
  Run run;
  std::size_t inputs = 0;  // how many of the saved tensors; the others are parameters
  AutocastSettings autocast;
};

struct Recompute : torch::autograd::Function<Recompute> {
  static at::Tensor forward(AutogradContext* context, const c10::intrusive_ptr<Plan>& plan,
                            at::TensorList given) {
    context->save_for_backward(given.vec());
    context->saved_data["plan"] = c10::IValue::make_capsule(plan);
    const AutocastScope scope(plan->autocast, given[0].device().type());
    return plan->run(given.slice(0, plan->inputs).vec());
  }

  static variable_list backward(AutogradContext* context, variable_list output_gradients) {
    const auto plan = c10::static_intrusive_pointer_cast<Plan>(context->saved_data["plan"].toCapsule());
    variable_list given = context->get_saved_variables();
    variable_list sources;               // what to differentiate by
    std::vector<std::size_t> positions;  // of those among the given
    for (std::size_t i = 0; i < given.size(); ++i) {
      const bool wanted = given[i].requires_grad();
      if (i < plan->inputs) given[i] = given[i].detach().set_requires_grad(wanted);
      if (!wanted) continue;
      sources.push_back(given[i]);
      positions.push_back(i);
    }
    const at::AutoGradMode with_gradients(true);
    at::Tensor output;
    {
      const AutocastScope scope(plan->autocast, given[0].device().type());
      output = plan->run({given.begin(), given.begin() + static_cast<std::ptrdiff_t>(plan->inputs)});
    }
    const variable_list gradients =
        torch::autograd::grad({output}, sources, output_gradients, /*retain_graph=*/std::nullopt,
                              /*create_graph=*/false, /*allow_unused=*/true);
    variable_list result(given.size() + 1);  // nothing for the plan
    for (std::size_t i = 0; i < positions.size(); ++i) result[positions[i] + 1] = gradients[i];
    return result;
  }
};

}  // namespace

at::Tensor recomputed(const Run& run, const std::vector<at::Tensor>& inputs,
                      const std::vector<at::Tensor>& parameters) {
  std::vector<at::Tensor> given = inputs;
  std::set<const at::TensorImpl*> seen;  // each parameter once, or its gradient would count several times
  for (const at::Tensor& parameter : parameters) {
    if (seen.insert(parameter.unsafeGetTensorImpl()).second) given.push_back(parameter);
  }
  const auto differentiable = [](const at::Tensor& tensor) { return tensor.requires_grad(); };
  if (!at::GradMode::is_enabled() || std::none_of(given.begin(), given.end(), differentiable)) {
    return run(inputs);
  }
  const auto plan = c10::make_intrusive<Plan>();
  plan->run = run;
  plan->inputs = inputs.size();
  plan->autocast = AutocastSettings::of(inputs.at(0).device().type()).without_cache();
  return Recompute::apply(plan, at::TensorList(given));
}

}  // namespace mdgen::model
