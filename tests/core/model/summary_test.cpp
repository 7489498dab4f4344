#include "core/model/summary.h"

#include <gtest/gtest.h>

#include "core/model/latent_model.h"

namespace mdgen::model {
namespace {

std::vector<std::string> lines(const std::vector<ModuleSummary>& rows) {
  std::vector<std::string> result;
  for (const ModuleSummary& row : rows) {
    result.push_back(row.name + " " + row.type + " " + std::to_string(row.parameters));
  }
  return result;
}

// Lightning's numbers for the published forward-simulation model.
TEST(SummaryTest, ListsThePublishedModelAsLightningDoes) {
  ModelConfig published;
  published.prepend_ipa = published.sim_condition = true;
  EXPECT_EQ(
      lines(summarize(*LatentModel(published))),
      (std::vector<std::string>{"model LatentModel 34152521", "model.latent_to_emb Linear 8448",
                                "model.cond_to_emb Linear 8448", "model.mask_to_emb Embedding 768",
                                "model.aatype_to_emb Embedding 8064", "model.ipa_layers ModuleList 15094580",
                                "model.layers ModuleList 18481920", "model.emb_to_latent FinalLayer 303765",
                                "model.t_embedder TimestepEmbedder 246528"}));
}

TEST(SummaryTest, GoesAsDeepAsAsked) {
  const torch::nn::ModuleList inner(torch::nn::Linear(2, 3), torch::nn::Linear(3, 1));
  const torch::nn::ModuleList outer(inner, torch::nn::Linear(1, 1));
  EXPECT_EQ(lines(summarize(*outer, "net", 1)), (std::vector<std::string>{"net ModuleList 15"}));
  EXPECT_EQ(lines(summarize(*outer, "net", 3)),
            (std::vector<std::string>{"net ModuleList 15", "net.0 ModuleList 13", "net.0.0 Linear 9",
                                      "net.0.1 Linear 4", "net.1 Linear 2"}));
}

TEST(SummaryTest, CountsASharedModuleOnce) {
  const torch::nn::Linear shared(2, 3);
  EXPECT_EQ(parameter_count(*torch::nn::Sequential(shared, shared)), 9);
}

}  // namespace
}  // namespace mdgen::model
