package imap

import "time"

// SearchOp says what a [SearchKey] looks at.
type SearchOp uint8

// The operations of a search key (RFC 3501 s6.4.4). What the wire has more of is put together from these: FROM is a header, UNSEEN is not a flag, a sequence set is a
// set of UIDs.
const (
	SearchAll        SearchOp = iota // every message
	SearchAnd                        // all of Keys
	SearchOr                         // at least one of Keys
	SearchNot                        // not Keys[0]
	SearchUID                        // the UID is in UIDs
	SearchFlag                       // the system flags in Flags are set
	SearchKeyword                    // the keyword Name is set, without regard to case
	SearchLarger                     // more than Size octets
	SearchSmaller                    // fewer than Size octets
	SearchBefore                     // internal date, day only, before Time
	SearchOn                         // internal date, day only, is Time
	SearchSince                      // internal date, day only, is Time or later
	SearchOlder                      // internal date at or before the moment Time (RFC 5032)
	SearchYounger                    // internal date at or after the moment Time (RFC 5032)
	SearchSentBefore                 // Date field, day only, before Time
	SearchSentOn                     // Date field, day only, is Time
	SearchSentSince                  // Date field, day only, is Time or later
	SearchModSeq                     // modification sequence is at least ModSeq (RFC 7162 s3.1.5)
	SearchHeader                     // header field Name contains Text; an empty Text asks for the field alone
	SearchBody                       // the decoded text of a part contains Text
	SearchText                       // a header or the decoded text of a part contains Text
)

// A SearchKey is a search as a tree. Text compares without regard to case, after decoding of transfer encodings, charsets and encoded words.
type SearchKey struct {
	Op     SearchOp
	Keys   []SearchKey
	UIDs   UIDSet
	Flags  Flags
	Name   string
	Text   string // UTF-8
	Size   int64
	Time   time.Time
	ModSeq ModSeq
}
