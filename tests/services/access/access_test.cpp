// Tokens, certificates, and where they are kept.
#include "services/access/access.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <cstdlib>
#include <functional>
#include <string>

#include "core/base/error.h"
#include "core/base/files.h"
#include "services/access/server_access.h"
#include "tests/support/temp_dir.h"

namespace mdgen::access {
namespace {

using std::filesystem::perms;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

const std::string kToken(40, 't');
const std::chrono::system_clock::time_point kNow{std::chrono::seconds(1'800'000'000)};

std::string error_of(const std::function<void()>& function) {
  try {
    function();
    return "(no error)";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument) << error.what();
    return error.what();
  }
}

// No MDGEN_TOKEN and MDGEN_CA but those that a test sets.
struct Environment : ::testing::Test {
  Environment() { clear(); }
  ~Environment() override { clear(); }
  static void clear() {
    ::unsetenv("MDGEN_TOKEN");
    ::unsetenv("MDGEN_CA");
  }
  testing::TempDir folder;
};
using FindAccess = Environment;

TEST_F(FindAccess, NothingGiven_IsPlain) { EXPECT_TRUE(find_access({}).is_plain()); }

TEST_F(FindAccess, FilesWinOverTheEnvironment) {
  write_file_synced(folder / "ca", "one");
  write_file_synced(folder / "other", "two");
  write_file_synced(folder / "token", " " + kToken + "\n");
  ::setenv("MDGEN_CA", (folder / "other").c_str(), 1);
  ::setenv("MDGEN_TOKEN", std::string(40, 'x').c_str(), 1);
  EXPECT_EQ(find_access({}).trusted, "two");
  EXPECT_EQ(find_access({}).token, std::string(40, 'x'));
  const Access access = find_access({.token_file = folder / "token", .ca_file = folder / "ca"});
  EXPECT_EQ(access.trusted, "one");
  EXPECT_EQ(access.token, kToken);
}

TEST_F(FindAccess, TokenWithoutCertificate_IsNotSentInClear) {
  ::setenv("MDGEN_TOKEN", kToken.c_str(), 1);
  EXPECT_THAT(error_of([] { find_access({}); }),
              AllOf(HasSubstr("--ca nor MDGEN_CA"), Not(HasSubstr(kToken))));
}

TEST(Token, MakeToken_IsLongAndNeverTheSame) {
  EXPECT_THAT(make_token(), MatchesRegex("[0-9a-f]{64}"));
  EXPECT_NE(make_token(), make_token());
}

TEST(Token, CheckedToken_RefusesWithoutTellingIt) {
  EXPECT_EQ(checked_token("  " + kToken + "\n", "file"), kToken);
  for (const std::string& bad : {std::string("too-short"), kToken + " x", kToken + "\x7f", std::string()})
    EXPECT_EQ(error_of([&] { checked_token(bad, "file f"); }),
              "file f: a token has 16 or more printable characters without spaces");
}

TEST(Token, SameToken_ComparesAll) {
  EXPECT_TRUE(same_token(kToken, kToken));
  EXPECT_FALSE(same_token(kToken, kToken + "t"));
  EXPECT_FALSE(same_token(kToken, ""));
  std::string other = kToken;
  other.back() = 'u';
  EXPECT_FALSE(same_token(kToken, other));
}

TEST(WriteSecret, IsTheOwnersAloneAndReplaces) {
  const testing::TempDir folder;
  write_file_synced(folder / "secret", "old and open");
  write_secret(folder / "secret", "new");
  EXPECT_EQ(read_file(folder / "secret"), "new");
  EXPECT_EQ(std::filesystem::status(folder / "secret").permissions(), perms::owner_read | perms::owner_write);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1)
      << "a temporary file is left";
}

struct Parsed {
  explicit Parsed(const std::string& pem) {
    BIO* text = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
    x509 = PEM_read_bio_X509(text, nullptr, nullptr, nullptr);
    BIO_free(text);
  }
  ~Parsed() { X509_free(x509); }
  X509* x509;
};

TEST(Identity, MakeIdentity_IsValidFromTheDayBeforeAndPinned) {
  const TlsIdentity identity = make_identity(kNow);
  const Parsed certificate(identity.certificate);
  std::time_t yesterday = 1'800'000'000 - 24 * 3600;
  EXPECT_EQ(X509_cmp_time(X509_get0_notBefore(certificate.x509), &yesterday), -1)
      << "equal counts as earlier";
  yesterday -= 1;
  EXPECT_EQ(X509_cmp_time(X509_get0_notBefore(certificate.x509), &yesterday), 1);
  EXPECT_TRUE(is_pinned(identity.certificate, "it"));
  EXPECT_FALSE(is_pinned(identity.certificate + make_identity(kNow).certificate, "two")) << "a bundle";
  EXPECT_NE(make_identity(kNow).key, identity.key);
}

TEST(Identity, IdentityFromSecret_DependsOnTheSecretAlone) {
  EXPECT_EQ(identity_from_secret(kToken).certificate, identity_from_secret(kToken).certificate);
  EXPECT_NE(identity_from_secret(kToken + "t").certificate, identity_from_secret(kToken).certificate);
  EXPECT_TRUE(is_pinned(identity_from_secret(kToken).certificate, "it"));
}

TEST(Identity, IsPinned_NamesWhatIsNoCertificate) {
  EXPECT_EQ(error_of([] { is_pinned("nothing", "--ca f"); }), "--ca f holds no PEM certificate");
}

TEST(OpenServerAccess, MakesWhatIsMissingAndKeepsIt) {
  const testing::TempDir folder;
  ServerFiles files;
  const ServerAccess first = open_server_access(files, folder / "state", kNow);
  EXPECT_EQ(files.certificate, folder / "state" / "tls.crt");
  for (const auto& secret : {files.key, files.token})
    EXPECT_EQ(std::filesystem::status(secret).permissions(), perms::owner_read | perms::owner_write)
        << secret;
  ServerFiles again;
  const ServerAccess second = open_server_access(again, folder / "state", kNow + std::chrono::hours(1));
  EXPECT_EQ(second.identity.certificate, first.identity.certificate);
  EXPECT_EQ(second.token, first.token);
}

TEST(OpenServerAccess, TakesOnesOwn) {
  const testing::TempDir folder;
  const TlsIdentity own = make_identity(kNow);
  write_file_synced(folder / "crt", own.certificate);
  write_file_synced(folder / "key", own.key);
  write_file_synced(folder / "token", kToken + "\n");
  ServerFiles files{.certificate = folder / "crt", .key = folder / "key", .token = folder / "token"};
  const ServerAccess access = open_server_access(files, folder / "state", kNow);
  EXPECT_EQ(access.identity.certificate, own.certificate);
  EXPECT_EQ(access.token, kToken);
  files.key.clear();
  EXPECT_EQ(error_of([&] { open_server_access(files, folder / "state", kNow); }),
            "--tls_cert and --tls_key belong together");
}

}  // namespace
}  // namespace mdgen::access
