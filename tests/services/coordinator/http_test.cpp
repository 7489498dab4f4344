#include <gmock/gmock.h>
#include <httplib.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "core/config/json.h"
#include "tests/services/coordinator/grpc_fixture.h"

namespace mdgen::coordinator {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using testing::ServerTest;

struct HttpTest : ServerTest {
  httplib::Client client() { return httplib::Client("http://" + server_->http_address()); }
  json checked(const httplib::Result& result, const std::string& what, int status) {
    if (!result) {
      ADD_FAILURE() << what << ": no answer";
      return {};
    }
    EXPECT_EQ(result->status, status) << what << ": " << result->body;
    EXPECT_EQ(result->get_header_value("Content-Type"), "application/json") << what;
    EXPECT_EQ(result->get_header_value("X-Content-Type-Options"), "nosniff") << what;
    EXPECT_EQ(result->get_header_value("Content-Security-Policy"),
              "default-src 'none'; frame-ancestors 'none'");
    EXPECT_FALSE(result->has_header("Access-Control-Allow-Origin")) << what;
    return json::parse(result->body);
  }
  json get(const std::string& path, int status = 200, const httplib::Headers& headers = {}) {
    return checked(client().Get(path, headers), path, status);
  }
  json post(const std::string& path, const json& body, int status = 200,
            const httplib::Headers& headers = {}) {
    return checked(client().Post(path, headers, body.dump(), "application/json"), path, status);
  }
  json spec_json(const std::string& name) {
    return json::parse(config::message_to_json(spec("", name), config::Unset::kLeaveOut).dump());
  }
};

TEST_F(HttpTest, SaysThatItIsHealthyAndReady) {
  EXPECT_EQ(get("/healthz")["status"], "SERVING");
  EXPECT_EQ(get("/readyz")["status"], "SERVING");
}

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
  EXPECT_THAT(get("/v1/jobs?page_size=many", 400)["error"]["message"], HasSubstr("page_size: \"many\""));
  EXPECT_THAT(get("/v1/jobs?page_size=1001", 400)["error"]["message"], HasSubstr("0 to 1000"));
  EXPECT_THAT(get("/v1/jobs?pages=1", 400)["error"]["message"],
              HasSubstr("pages: there is no such parameter"));
  EXPECT_THAT(get("/v1/jobs?owner=a&owner=b", 400)["error"]["message"], HasSubstr("owner: is given more"));
  EXPECT_THAT(get("/v1/jobs?state=Running", 400)["error"]["message"], HasSubstr("RUNNING"));
  EXPECT_EQ(get("/v1/jobs?page_token=x", 400)["error"]["code"], "InvalidArgument");
  const auto put = client().Put("/v1/jobs", "{}", "application/json");
  ASSERT_TRUE(put);
  EXPECT_EQ(put->status, 405);
  EXPECT_EQ(put->get_header_value("Allow"), "GET, HEAD, POST");
  EXPECT_EQ(json::parse(put->body)["error"]["code"], "MethodNotAllowed");
  EXPECT_EQ(client().Get("/v1/jobs/x/cancel")->get_header_value("Allow"), "POST");
  httplib::Request odd;
  odd.method = "QUERY";
  odd.path = "/v1/jobs";
  const auto unknown = client().send(odd);
  ASSERT_TRUE(unknown);
  EXPECT_EQ(unknown->status, 405);
  EXPECT_EQ(unknown->get_header_value("Allow"), "GET, HEAD, POST");
}

TEST_F(HttpTest, ClientsAreToldWhatTheyHaveAlready) {
  submitted(spec());
  const auto first = client().Get("/v1/jobs/run");
  const std::string tag = first->get_header_value("ETag");
  ASSERT_TRUE(reaches("run", v1::JOB_STATE_QUEUED));
  const auto now = client().Get("/v1/jobs/run");
  const auto again = client().Get("/v1/jobs/run", {{"If-None-Match", now->get_header_value("ETag")}});
  EXPECT_EQ(again->status, 304);
  EXPECT_TRUE(again->body.empty());
  EXPECT_EQ(client().Get("/v1/jobs/run", {{"If-None-Match", "W/\"0\""}})->status, 200);
}

TEST_F(HttpTest, HeadIsGetWithoutItsBody) {
  const auto head = client().Head("/v1/jobs");
  ASSERT_TRUE(head);
  EXPECT_EQ(head->status, 200);
  EXPECT_TRUE(head->body.empty());
}

// --- changes ---

TEST_F(HttpTest, SubmitsAndCancels) {
  const json wanted = {{"spec", spec_json("posted")}, {"request_id", "r1"}};
  const json job = post("/v1/jobs", wanted, 201);
  const std::string id = job["id"];
  EXPECT_EQ(job["name"], "posted");
  EXPECT_EQ(post("/v1/jobs", wanted, 201)["id"], id) << "the same request, the same job";
  EXPECT_EQ(post("/v1/jobs", {{"spec", spec_json("posted")}}, 409)["error"]["code"], "AlreadyExists");
  const json cancelled = post("/v1/jobs/" + id + "/cancel", {{"grace_seconds", 0}});
  EXPECT_EQ(cancelled["state"], "CANCELLED");
  EXPECT_EQ(post("/v1/jobs/" + id + "/cancel", json::object(), 409)["error"]["code"], "FailedPrecondition");
  EXPECT_EQ(post("/v1/jobs/nobody/pause", json::object(), 404)["error"]["code"], "NotFound");
}

TEST_F(HttpTest, ASpecIsCheckedAndItsPathsAreAbsolute) {
  json relative = spec_json("a");
  relative["data"]["data_dir"] = "data";
  EXPECT_THAT(post("/v1/jobs", {{"spec", relative}}, 400)["error"]["message"],
              HasSubstr("data.data_dir: \"data\" is relative"));
  json misspelt = spec_json("a");
  misspelt["optim"]["learning"] = 1;
  EXPECT_THAT(post("/v1/jobs", {{"spec", misspelt}}, 400)["error"]["message"],
              HasSubstr("spec.optim.learning"));
  json without = spec_json("a");
  without.erase("work_dir");
  EXPECT_THAT(post("/v1/jobs", {{"spec", without}}, 400)["error"]["message"], HasSubstr("work_dir"));
}

TEST_F(HttpTest, ChangesNeedAJsonBody) {
  const auto status = [&](const char* body, const char* type) {
    return client().Post("/v1/jobs/x/cancel", body, type)->status;
  };
  EXPECT_EQ(status("{}", "text/plain"), 415) << "what a form of another site could send";
  EXPECT_EQ(status("{}", "application/x-www-form-urlencoded"), 415);
  EXPECT_EQ(status("", "application/json"), 400);
  EXPECT_EQ(status("[]", "application/json"), 400);
  EXPECT_EQ(status("{\"id\": \"y\"}", "application/json"), 400);
  EXPECT_EQ(status("{\"grace_seconds\": \"3\"}", "application/json"), 400);
  EXPECT_EQ(status("{\"grace_seconds\": -1}", "application/json"), 400);
  EXPECT_EQ(status("{}", "application/json; charset=utf-8"), 404);
}

TEST_F(HttpTest, PagesOfOtherSitesChangeNothing) {
  const std::string own = "http://" + server_->http_address();
  const auto status = [&](const httplib::Headers& headers) {
    return client().Post("/v1/jobs/x/cancel", headers, "{}", "application/json")->status;
  };
  EXPECT_EQ(status({{"Origin", own}}), 404) << "the dashboard's";
  EXPECT_EQ(status({{"Origin", "http://evil.example"}}), 403);
  EXPECT_EQ(status({{"Origin", "null"}}), 403);
  EXPECT_EQ(status({{"Sec-Fetch-Site", "cross-site"}}), 403);
  EXPECT_EQ(status({{"Host", "evil.example"}}), 403) << "a name that was made to point here";
  EXPECT_EQ(status({{"Host", "localhost:1"}}), 404);
  EXPECT_EQ(get("/v1/jobs", 403, {{"Host", "evil.example"}})["error"]["code"], "PermissionDenied");
  EXPECT_EQ(get("/v1/jobs", 403, {{"Host", "127.evil.example"}})["error"]["code"], "PermissionDenied");
}

// --- run folders ---

TEST_F(HttpTest, GivesMetricsCheckpointsAndLogs) {
  const std::string id = submitted(spec());
  const std::filesystem::path run = server_->job(id).run_folder();
  const std::string path = "/v1/jobs/" + id;
  EXPECT_EQ(get(path + "/metrics")["series"].size(), 0U);
  EXPECT_EQ(get(path + "/checkpoints")["checkpoints"].size(), 0U);
  const json nothing = get(path + "/logs");
  EXPECT_EQ(nothing["text"], "");
  EXPECT_EQ(nothing["ended"], false);

  std::ofstream(run / "metrics.jsonl") << "{\"step\":1,\"loss\":0.5}\n{\"step\":2,\"loss\":null}\n";
  std::ofstream(run / "logs/rank-0.attempt-1.log") << "one\ntwo\nthree\n";
  std::filesystem::create_directories(run / "checkpoints/step-000000002-g0001");
  const json series = get(path + "/metrics?name=loss")["series"];
  EXPECT_EQ(series[0]["name"], "loss");
  EXPECT_EQ(series[0]["steps"], json({1, 2}));
  EXPECT_EQ(series[0]["values"], json({0.5, nullptr}));
  EXPECT_EQ(get(path + "/metrics?max_points=10001", 400)["error"]["code"], "InvalidArgument");
  const json checkpoint = get(path + "/checkpoints")["checkpoints"][0];
  EXPECT_EQ(checkpoint["step"], 2);
  EXPECT_THAT(checkpoint["problem"].get<std::string>(), HasSubstr("manifest.json"));
  EXPECT_EQ(checkpoint["newest_good"], false);
  const json whole = get(path + "/logs");
  EXPECT_EQ(whole["text"], "one\ntwo\nthree\n");
  EXPECT_EQ(whole["next_offset"], 14);
  EXPECT_EQ(whole["attempt"], 1);
  EXPECT_EQ(get(path + "/logs?offset=14")["text"], "");
  EXPECT_EQ(get(path + "/logs?tail_bytes=6")["text"], "three\n");
  const auto text = client().Get(path + "/logs?offset=8", {{"Accept", "text/plain"}});
  EXPECT_EQ(text->body, "three\n");
  EXPECT_EQ(text->get_header_value("X-Next-Offset"), "14");
  EXPECT_EQ(get(path + "/logs?rank=-1", 400)["error"]["code"], "InvalidArgument");
  EXPECT_EQ(get(path + "/logs?since=yesterday", 400)["error"]["code"], "InvalidArgument");
}

}  // namespace
}  // namespace mdgen::coordinator
