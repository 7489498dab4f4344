// docs/openapi.yaml is what the program's own table and schema say.
#include "services/coordinator/openapi.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "core/base/files.h"
#include "services/coordinator/http_api.h"

namespace mdgen::coordinator {
namespace {

TEST(OpenApi, TheCommittedDocumentIsUpToDate) {
  EXPECT_EQ(read_file(MDGEN_SOURCE_DIR "/docs/openapi.yaml"), openapi_yaml())
      << "run: build/bin/mdgen-coordinator --openapi > docs/openapi.yaml";
}

void collect_references(const nlohmann::ordered_json& json, std::set<std::string>& found) {
  for (const auto& [key, value] : json.items()) {
    if (key == "$ref") found.insert(value.get<std::string>());
    if (value.is_structured()) collect_references(value, found);
  }
}

TEST(OpenApi, EveryReferenceLeadsToASchema) {
  const auto document = openapi();
  std::set<std::string> references;
  collect_references(document, references);
  EXPECT_GT(references.size(), 10U);
  for (const std::string& reference : references) {
    const std::string name = reference.substr(reference.rfind('/') + 1);
    EXPECT_TRUE(document["components"]["schemas"].contains(name)) << reference;
  }
}

TEST(OpenApi, EveryOperationIsThereOnce) {
  std::set<std::string> ids;
  for (const HttpOperation& operation : http_operations()) {
    EXPECT_TRUE(ids.insert(operation.id).second) << operation.id;
    EXPECT_TRUE((operation.reply != nullptr) != !operation.schema.empty()) << operation.id;
  }
}

}  // namespace
}  // namespace mdgen::coordinator
