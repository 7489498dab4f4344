#include <gmock/gmock.h>
#include <httplib.h>

#include <regex>

#include "services/dashboard/files.h"
#include "tests/services/coordinator/grpc_fixture.h"

namespace mdgen::coordinator {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct DashboardTest : testing::ServerTest {
  httplib::Client client() { return httplib::Client("http://" + server_->http_address()); }
};

TEST_F(DashboardTest, IsServedFromTheProgramWithAStrictPolicy) {
  const auto page = client().Get("/");
  ASSERT_TRUE(page);
  EXPECT_EQ(page->status, 200);
  EXPECT_EQ(page->get_header_value("Content-Type"), "text/html; charset=utf-8");
  EXPECT_EQ(page->get_header_value("Content-Security-Policy"), dashboard::kContentSecurityPolicy);
  EXPECT_EQ(page->get_header_value("X-Content-Type-Options"), "nosniff");
  EXPECT_THAT(page->body, HasSubstr("<main id=\"view\""));
  const auto script = client().Get("/dashboard/main.js");
  ASSERT_TRUE(script);
  EXPECT_EQ(script->get_header_value("Content-Type"), "text/javascript; charset=utf-8");
  const auto none = client().Get("/dashboard/../main.cpp");
  ASSERT_TRUE(none);
  EXPECT_EQ(none->status, 404);
}

TEST_F(DashboardTest, IsNotSentTwiceToWhoHasIt) {
  const auto first = client().Get("/dashboard/style.css");
  ASSERT_TRUE(first);
  const std::string tag = first->get_header_value("ETag");
  ASSERT_FALSE(tag.empty());
  const auto second = client().Get("/dashboard/style.css", {{"If-None-Match", tag}});
  ASSERT_TRUE(second);
  EXPECT_EQ(second->status, 304);
  EXPECT_EQ(second->body, "");
  const auto other = client().Get("/dashboard/style.css", {{"If-None-Match", "\"another\""}});
  ASSERT_TRUE(other);
  EXPECT_EQ(other->status, 200);
}

TEST(DashboardFilesTest, NeedNothingFromElsewhereAndNothingInline) {
  ASSERT_FALSE(dashboard::files().empty());
  const std::regex other_hosts(
      R"((src|href)\s*=\s*["']\s*(https?:)?//|url\(|@import|from\s+['"](https?:)?//)");
  const std::regex inline_code(R"(<script>|<style|\son[a-z]+\s*=\s*"|\sstyle\s*=\s*")");
  for (const dashboard::File& file : dashboard::files()) {
    const std::string text(file.content);
    EXPECT_FALSE(std::regex_search(text, other_hosts)) << file.name;
    EXPECT_FALSE(file.name.ends_with(".html") && std::regex_search(text, inline_code)) << file.name;
    for (const char* unsafe : {"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("})
      EXPECT_THAT(text, Not(HasSubstr(unsafe))) << file.name;
  }
}

TEST(DashboardFilesTest, ImportOnlyWhatIsThere) {
  const std::regex reference(R"((?:from '\./|(?:src|href)="/dashboard/)([^'"]+))");
  for (const dashboard::File& file : dashboard::files()) {
    const std::string text(file.content);
    for (std::sregex_iterator match(text.begin(), text.end(), reference), end; match != end; ++match)
      EXPECT_NE(dashboard::find("/dashboard/" + (*match)[1].str()), nullptr)
          << file.name << ": " << (*match)[1];
  }
}

}  // namespace
}  // namespace mdgen::coordinator
