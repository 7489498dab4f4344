#include <gmock/gmock.h>
#include <httplib.h>

#include <nlohmann/json.hpp>

#include "tests/services/coordinator/grpc_fixture.h"

namespace mdgen::coordinator {
namespace {

using testing::ServerTest;

struct HttpTest : ServerTest {
  httplib::Client client() { return httplib::Client("http://" + server_->http_address()); }
  nlohmann::json get(const std::string& path, int status = 200) {
    const auto result = client().Get(path);
    if (!result) {
      ADD_FAILURE() << path << ": no answer";
      return {};
    }
    EXPECT_EQ(result->status, status) << path;
    EXPECT_EQ(result->get_header_value("Content-Type"), "application/json") << path;
    return nlohmann::json::parse(result->body);
  }
};

TEST_F(HttpTest, SaysThatItIsHealthy) { EXPECT_EQ(get("/healthz")["status"], "SERVING"); }

TEST_F(HttpTest, GivesJobsAsJson) {
  const std::string id = submitted(spec());
  ASSERT_TRUE(reaches(id, v1::JOB_STATE_QUEUED));
  const auto job = get("/v1/jobs/" + id);
  for (const char* key : {"id", "name", "state", "reason", "message", "step", "epoch", "loss", "workers",
                          "restarts", "checkpoint", "run_folder", "created_at", "started_at", "ended_at"})
    EXPECT_TRUE(job.contains(key)) << key;
  EXPECT_EQ(job["id"], id);
  EXPECT_EQ(job["state"], "QUEUED");
  EXPECT_EQ(job["step"], 0);
  EXPECT_EQ(job["spec"]["data"]["num_frames"], 8);
  EXPECT_EQ(get("/v1/jobs/run")["id"], id) << "by its name";

  submitted(spec("", "second"));
  const auto page = get("/v1/jobs?page_size=1");
  ASSERT_EQ(page["jobs"].size(), 1U);
  EXPECT_EQ(page["jobs"][0]["name"], "second");
  const auto rest = get("/v1/jobs?page_token=" + page["next_page_token"].get<std::string>());
  EXPECT_EQ(rest["jobs"][0]["id"], id);
}

TEST_F(HttpTest, MetricsAreInPrometheusTextFormat) {
  submitted(spec());
  const auto metrics = client().Get("/metrics");
  ASSERT_TRUE(metrics);
  EXPECT_EQ(metrics->status, 200);
  EXPECT_TRUE(metrics->get_header_value("Content-Type").starts_with("text/plain"));
  for (const char* line : {"# TYPE mdgen_lost_steps_total counter\n", "\nmdgen_lost_steps_total 0\n",
                           "\nmdgen_jobs_submitted_total 1\n", "\nmdgen_jobs{state=\"RUNNING\"} 0\n",
                           "\nmdgen_workers{state=\"FREE\"} 0\n", "\nmdgen_build_info{version=\""})
    EXPECT_NE(metrics->body.find(line), std::string::npos) << line;
}

TEST_F(HttpTest, AnyBytesInARequestGetAnAnswer) {
  EXPECT_EQ(get("/v1/jobs/%ff", 404)["error"]["code"], "NotFound");
  EXPECT_EQ(get("/nowhere%ff", 404)["error"]["message"], "there is nothing at /nowhere?");
  EXPECT_EQ(get("/v1/jobs?page_size=%ff", 400)["error"]["code"], "InvalidArgument");
  EXPECT_EQ(get("/v1/jobs?page_token=%ff", 400)["error"]["code"], "InvalidArgument");
}

TEST_F(HttpTest, ErrorsAreJsonToo) {
  EXPECT_EQ(get("/v1/jobs/nobody", 404)["error"]["code"], "NotFound");
  EXPECT_EQ(get("/nowhere", 404)["error"]["code"], "NotFound");
  EXPECT_EQ(get("/v1/jobs?page_size=many", 400)["error"]["code"], "InvalidArgument");
  EXPECT_EQ(get("/v1/jobs?page_token=x", 400)["error"]["code"], "InvalidArgument");
  const auto posted = client().Post("/v1/jobs", "{}", "application/json");
  ASSERT_TRUE(posted);
  EXPECT_EQ(posted->status, 405);
  EXPECT_EQ(posted->get_header_value("Allow"), "GET, HEAD");
  EXPECT_EQ(nlohmann::json::parse(posted->body)["error"]["code"], "MethodNotAllowed");
  const auto deleted = client().Delete("/v1/jobs/x");
  ASSERT_TRUE(deleted);
  EXPECT_EQ(deleted->status, 405);
}

}  // namespace
}  // namespace mdgen::coordinator
