package report_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomailroom/mailroom/mime"
	. "github.com/gomailroom/mailroom/mime/report"
	"github.com/stretchr/testify/require"
)

// suite gives the files of a folder of the foreign suites with what is expected of each, or skips. Messages come twice: with LF and with CRLF.
func suite(t *testing.T, folder string, each func(t *testing.T, name string, raw []byte, want map[string]any)) {
	t.Helper()
	root := os.Getenv("MAILROOM_SUITES")
	if root == "" {
		t.Skip("MAILROOM_SUITES is not set: the suites that others wrote are not at hand")
	}
	files, err := filepath.Glob(filepath.Join(root, "reports", folder, "*.json"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		base := strings.TrimSuffix(file, ".json")
		for _, name := range []string{base + ".eml", base + ".xml", file} {
			raw, err := os.ReadFile(name)
			if err != nil {
				continue
			}
			var want map[string]any
			b, err := os.ReadFile(file)
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(b, &want))
			t.Run(filepath.Base(name), func(t *testing.T) { each(t, name, raw, want) })
			if strings.HasSuffix(name, ".eml") {
				raw = bytes.ReplaceAll(bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
				t.Run(filepath.Base(name)+" with CRLF", func(t *testing.T) { each(t, name, raw, want) })
			}
			break
		}
	}
}

// plain makes values comparable: the suite writes AuthFailure for auth-failure, Unspecified for none, and folds as they are.
func plain(v any) string {
	s, _ := v.(string)
	s = strings.ToLower(strings.Join(strings.Fields(s), " "))
	s = strings.NewReplacer("-", "", "_", "").Replace(s)
	if s == "unspecified" {
		return ""
	}
	return s
}

func plainList(v any) (out []string) {
	list, _ := v.([]any)
	for _, s := range list {
		out = append(out, plain(s))
	}
	return out
}

func plains(list []string) (out []string) {
	for _, s := range list {
		out = append(out, plain(s))
	}
	return out
}

func TestSuiteARF(t *testing.T) {
	t.Parallel()
	suite(t, "arf", func(t *testing.T, _ string, raw []byte, want map[string]any) {
		r, err := Parse(mime.ParseBytes(raw))
		require.NoError(t, err)
		a := r.(*ARF)
		f := a.Failure
		if f == nil {
			f = &AuthFailure{}
		}
		for name, got := range map[string]string{
			"feedback_type": a.FeedbackType, "original_envelope_id": a.EnvelopeID, "reporting_mta": a.ReportingMTA, "user_agent": a.UserAgent,
			"auth_failure": f.Kind, "delivery_result": f.DeliveryResult, "dkim_adsp_dns": f.DKIMADSPDNS, "dkim_canonicalized_header": f.DKIMCanonicalizedHeader,
			"dkim_domain": f.DKIMDomain, "dkim_identity": f.DKIMIdentity, "dkim_selector": f.DKIMSelector, "dkim_selector_dns": f.DKIMSelectorDNS, "spf_dns": f.SPFDNS,
			"identity_alignment": f.IdentityAlignment,
		} {
			require.Equal(t, plain(want[name]), plain(got), name)
		}
		require.Equal(t, strings.ReplaceAll(plain(want["dkim_canonicalized_body"]), " ", ""), plain(f.DKIMCanonicalizedBody))
		require.Equal(t, strings.Trim(plain(want["original_mail_from"]), "<>"), plain(a.OriginalMailFrom))
		require.Equal(t, strings.Trim(plain(want["original_rcpt_to"]), "<>"), plain(strings.Join(a.OriginalRcptTo, " ")))
		require.Equal(t, plainList(want["authentication_results"]), plains(a.AuthenticationResults))
		require.Equal(t, plainList(want["reported_domain"]), plains(a.ReportedDomains))
		require.Equal(t, plainList(want["reported_uri"]), plains(a.ReportedURIs))
		if at, ok := want["arrival_date"].(float64); ok {
			require.Equal(t, int64(at), a.Arrived.Unix())
		} else {
			require.True(t, a.Arrived.IsZero())
		}
		if ip, ok := want["source_ip"].(string); ok {
			require.Equal(t, ip, a.SourceIP.String())
		}
		require.Equal(t, int(want["incidents"].(float64)), max(1, a.Incidents))
		require.NotNil(t, a.Original)
	})
}

func TestSuiteTLS(t *testing.T) {
	t.Parallel()
	suite(t, "tlsrpt", func(t *testing.T, name string, raw []byte, want map[string]any) {
		expected, err := os.ReadFile(strings.TrimSuffix(strings.TrimSuffix(name, ".eml"), ".json") + ".json")
		require.NoError(t, err)
		r, err := ReadTLS(bytes.NewReader(expected))
		require.NoError(t, err)
		require.Equal(t, want["report-id"], r.ReportID)
		require.False(t, r.Start.IsZero() || r.End.Before(r.Start))
		policies := want["policies"].([]any)
		require.Len(t, r.Policies, len(policies))
		for i, p := range policies {
			p := p.(map[string]any)
			policy, summary := p["policy"].(map[string]any), p["summary"].(map[string]any)
			require.Equal(t, policy["policy-type"], r.Policies[i].Type)
			require.Equal(t, plainList(policy["policy-string"]), plains(r.Policies[i].Policy))
			require.Equal(t, plainList(policy["mx-host"]), plains(r.Policies[i].MXHosts))
			require.EqualValues(t, summary["total-successful-session-count"], r.Policies[i].Succeeded)
			failures, _ := p["failure-details"].([]any)
			require.Len(t, r.Policies[i].Failures, len(failures))
			for j, f := range failures {
				f, got := f.(map[string]any), r.Policies[i].Failures[j]
				require.Equal(t, f["result-type"], got.ResultType)
				require.EqualValues(t, f["failed-session-count"], got.Sessions)
				require.Equal(t, plain(f["additional-information"]), plain(got.AdditionalInformation))
			}
		}
		if strings.HasSuffix(name, ".eml") {
			sent, err := Parse(mime.ParseBytes(raw))
			require.NoError(t, err)
			require.Equal(t, r, sent)
		}
	})
}

func TestSuiteDMARC(t *testing.T) {
	t.Parallel()
	suite(t, "dmarc-feedback", func(t *testing.T, name string, raw []byte, want map[string]any) {
		var r *DMARC
		var err error
		if strings.HasSuffix(name, ".eml") {
			var found any
			found, err = Parse(mime.ParseBytes(raw))
			require.NoError(t, err)
			r = found.(*DMARC)
		} else {
			r, err = ReadDMARC(bytes.NewReader(raw))
		}
		require.NoError(t, err)
		meta, policy := want["report_metadata"].(map[string]any), want["policy_published"].(map[string]any)
		for got, expected := range map[string]any{r.OrgName: meta["org_name"], r.Email: meta["email"], r.ExtraContact: meta["extra_contact_info"], r.ReportID: meta["report_id"], r.Policy.Domain: policy["domain"]} {
			require.Equal(t, plain(expected), plain(got))
		}
		dates := meta["date_range"].(map[string]any)
		require.EqualValues(t, dates["begin"], r.Begin.Unix())
		require.EqualValues(t, dates["end"], r.End.Unix())
		require.Equal(t, plain(policy["p"]), r.Policy.P)
		require.Equal(t, plain(policy["sp"]), r.Policy.SP)
		require.Equal(t, plain(policy["np"]), r.Policy.NP)
		require.Equal(t, policy["testing"], r.Policy.Testing)
		records := want["record"].([]any)
		require.Len(t, r.Records, len(records))
		for i, record := range records {
			record, got := record.(map[string]any), r.Records[i]
			row, ids := record["row"].(map[string]any), record["identifiers"].(map[string]any)
			evaluated, results := row["policy_evaluated"].(map[string]any), record["auth_results"].(map[string]any)
			require.Equal(t, row["source_ip"], got.SourceIP.String())
			require.EqualValues(t, row["count"], got.Count)
			require.Equal(t, plain(evaluated["disposition"]), got.Disposition)
			require.Equal(t, plain(evaluated["dkim"]), got.DKIM)
			require.Equal(t, plain(evaluated["spf"]), got.SPF)
			require.Len(t, got.Reasons, len(evaluated["reason"].([]any)))
			require.Equal(t, plain(ids["header_from"]), plain(got.HeaderFrom))
			require.Equal(t, plain(ids["envelope_from"]), plain(got.EnvelopeFrom))
			dkim, spf := results["dkim"].([]any), results["spf"].([]any)
			require.Len(t, got.DKIMResults, len(dkim))
			for j, k := range dkim {
				k := k.(map[string]any)
				require.Equal(t, [3]string{plain(k["domain"]), plain(k["selector"]), plain(k["result"])},
					[3]string{plain(got.DKIMResults[j].Domain), plain(got.DKIMResults[j].Selector), plain(got.DKIMResults[j].Result)})
			}
			require.Len(t, got.SPFResults, len(spf))
			for j, s := range spf {
				s := s.(map[string]any)
				require.Equal(t, [2]string{plain(s["domain"]), plain(s["result"])}, [2]string{plain(got.SPFResults[j].Domain), plain(got.SPFResults[j].Result)})
			}
		}
	})
}
