#include "services/coordinator/http_framing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace mdgen::coordinator {
namespace {

using State = Frame::State;

Frame look(const std::string& bytes, FrameLimits limits = {}) { return look_at_request(bytes, limits); }

TEST(HttpFraming, FindsTheEndOfARequest) {
  const std::string head = "POST /v1/jobs HTTP/1.1\r\nHost: a\r\ncontent-length: 3\r\n\r\n";
  for (std::size_t length = 0; length < head.size(); ++length)
    EXPECT_EQ(look(head.substr(0, length)).state, State::kMore) << length;
  EXPECT_EQ(look(head).state, State::kMore);
  EXPECT_EQ(look(head + "ab").state, State::kMore);
  const Frame whole = look(head + "abcGET /next");
  EXPECT_EQ(whole.state, State::kWhole);
  EXPECT_EQ(whole.head, head.size());
  EXPECT_EQ(whole.body, 3U);
  EXPECT_EQ(look("GET / HTTP/1.1\r\n\r\n").state, State::kWhole);
}

TEST(HttpFraming, ToldWhenTheClientWaits) {
  EXPECT_TRUE(look("PUT / HTTP/1.1\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n\r\n").wants_continue);
}

TEST(HttpFraming, RefusesWhatCannotBeToldWithoutDoubt) {
  const std::string get = "GET / HTTP/1.1\r\n";
  const auto status = [&](const std::string& headers) { return look(get + headers + "\r\n").status; };
  EXPECT_EQ(status("Content-Length: 1\r\nContent-Length: 1\r\n"), 400);
  EXPECT_EQ(status("Content-Length: -1\r\n"), 400);
  EXPECT_EQ(status("Content-Length: 1, 1\r\n"), 400);
  EXPECT_EQ(status("Content-Length: 99999999999999999999999\r\n"), 400);
  EXPECT_EQ(status("Content-Length : 1\r\n"), 400);
  EXPECT_EQ(status("Transfer-Encoding: chunked\r\n"), 411);
  EXPECT_EQ(status("Content-Encoding: gzip\r\n"), 415);
  EXPECT_EQ(status("no name\r\n"), 400);
  EXPECT_EQ(status(" folded: line\r\n"), 400);
  EXPECT_EQ(status("a: b\nContent-Length: 9\r\n"), 400) << "a bare line feed";
  EXPECT_EQ(status("a: b\rContent-Length: 9\r\n"), 400);
  EXPECT_EQ(status(std::string("a: \0b\r\n", 7)), 400);
}

TEST(HttpFraming, HoldsItsLimits) {
  FrameLimits limits;
  limits.head_bytes = 64;
  limits.header_lines = 2;
  limits.body_bytes = 10;
  EXPECT_EQ(look("GET /" + std::string(64, 'x'), limits).status, 431) << "before the end has come";
  EXPECT_EQ(look("GET / HTTP/1.1\r\na: 1\r\nb: 2\r\nc: 3\r\n\r\n", limits).status, 431);
  EXPECT_EQ(look("PUT / HTTP/1.1\r\nContent-Length: 10\r\n\r\n", limits).state, State::kMore);
  EXPECT_EQ(look("PUT / HTTP/1.1\r\nContent-Length: 11\r\n\r\n", limits).status, 413) << "before it is sent";
}

}  // namespace
}  // namespace mdgen::coordinator
