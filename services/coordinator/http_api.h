// Every operation of the HTTP API: the one table from which requests are routed and checked (http_router.h)
// and docs/openapi.yaml is made (openapi.h).
#pragma once

#include <google/protobuf/descriptor.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace mdgen::coordinator {

struct HttpParameter {
  enum class Kind { kText, kWhole, kTime };

  std::string name;
  Kind kind = Kind::kText;
  std::string help;
  std::int64_t least = 0;  // kWhole
  std::int64_t most = std::numeric_limits<std::int64_t>::max();
  std::vector<std::string> choices{};  // kText; empty: any
  bool repeated = false;               // ?name=a&name=b
};

// Of a number in a body.
struct HttpBound {
  std::string field;
  double least = 0;
};

struct HttpOperation {
  using Message = const google::protobuf::Descriptor*;

  std::string id;      // GetJob
  std::string method;  // GET, POST, DELETE
  std::string path;    // /v1/jobs/{id}
  std::string summary;
  std::vector<HttpParameter> query{};
  Message body = nullptr;  // its JSON is the request's body; without the field `id`, which is in the path
  std::vector<HttpBound> bounds{};
  Message reply = nullptr;  // its JSON is the answer
  std::string schema{};     // in place of `reply`: a schema of openapi.cpp
  std::string type = "application/json";
  int success = 200;
  std::vector<int> errors{};  // beside those that any operation may answer with

  bool changes() const { return method != "GET"; }
};

const std::vector<HttpOperation>& http_operations();

}  // namespace mdgen::coordinator
