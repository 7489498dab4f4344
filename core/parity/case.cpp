#include "core/parity/case.h"

#include "core/base/error.h"

namespace mdgen::parity {
namespace {

const char* verdict_text(Verdict verdict) {
  switch (verdict) {
    case Verdict::kPass:
      return "PASS";
    case Verdict::kFail:
      return "FAIL";
    case Verdict::kUnsupported:
      return "UNSUPPORTED";
  }
  return "FAIL";
}

void run(const std::filesystem::path& file, Result& result) {
  const GoldenFile golden(file);
  if (golden.has_any("table.")) {
    run_geometry(golden, result);
  } else {
    run_model(golden, result);
  }
}

}  // namespace

std::string Result::row() const {
  std::string text = name;
  for (const Family* family : {&prep, &out, &loss, &grad, &train, &ode}) text += " " + family->text();
  return text + " " + verdict_text(verdict);
}

Result run_case(const std::filesystem::path& file) {
  Result result;
  result.name = file.stem().string();
  try {
    run(file, result);
    for (const Family* family :
         {&result.prep, &result.out, &result.loss, &result.grad, &result.train, &result.ode}) {
      result.reasons.insert(result.reasons.end(), family->problems().begin(), family->problems().end());
    }
    if (result.reasons.empty()) result.verdict = Verdict::kPass;
  } catch (const Error& error) {
    result.reasons.emplace_back(error.what());
    if (error.code() == ErrorCode::kUnimplemented) result.verdict = Verdict::kUnsupported;
  } catch (const std::exception& error) {
    result.reasons.emplace_back(error.what());
  }
  return result;
}

}  // namespace mdgen::parity
