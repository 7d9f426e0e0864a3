package mime

import "fmt"

// DefectKind names one way in which a message departs from the standards or reaches a limit.
type DefectKind uint8

// The kinds of defects.
const (
	DefectNone                 DefectKind = iota
	DefectMboxLine                        // an mbox "From " line stands before the header
	DefectHeaderLine                      // a line in a header is no field and no continuation
	DefectHeaderEnd                       // a header ends without its blank line
	DefectContentType                     // a Content-Type could not be read; text/plain is assumed (RFC 2045 s5.2)
	DefectNoBoundary                      // a multipart has no boundary parameter; the first line that can be a delimiter is taken for one
	DefectNoParts                         // a multipart has no delimiter line; what it has is shown as text
	DefectNoClose                         // a multipart ends without its close delimiter
	DefectMultipartEncoding               // a multipart has a transfer encoding other than 7bit, 8bit or binary (RFC 2045 s6.4)
	DefectEncoding                        // an unknown transfer encoding
	DefectLimitHeaderBytes                // a header is longer than Limits.HeaderBytes or Limits.TotalHeaderBytes
	DefectLimitFields                     // a header has more fields than Limits.Fields
	DefectLimitDepth                      // parts are nested deeper than Limits.Depth
	DefectLimitParts                      // there are more parts than Limits.Parts
	DefectNUL                             // a header has a NUL byte
	DefectBareCR                          // a header has a CR that does not end a line
	DefectRaw8Bit                         // a header has bytes above 127 that are not UTF-8
	DefectDuplicateContentType            // a header has more than one Content-Type; the first counts
	DefectBase64                          // base64 has bytes that are none, or ends inside a group; see Part.Check
	DefectQuotedPrintable                 // quoted-printable has an equals sign that starts no escape, or raw control or 8-bit bytes; see Part.Check
	DefectLimitAddresses                  // an address field has more than Limits.Addresses; the rest is not read
	DefectLimitParams                     // a content field has more than Limits.Params parameters; the rest is not read
	DefectByteOrderMark                   // a byte order mark stands before the header
	defectEnd
)

var defectText = [defectEnd]string{
	DefectNone:                 "no defect",
	DefectMboxLine:             "mbox From line before the header",
	DefectHeaderLine:           "header line is not a field",
	DefectHeaderEnd:            "header without a blank line at its end",
	DefectContentType:          "unreadable Content-Type",
	DefectNoBoundary:           "multipart without a boundary parameter",
	DefectNoParts:              "multipart without parts",
	DefectNoClose:              "multipart without a close delimiter",
	DefectMultipartEncoding:    "multipart with a transfer encoding",
	DefectEncoding:             "unknown transfer encoding",
	DefectLimitHeaderBytes:     "header too long",
	DefectLimitFields:          "too many header fields",
	DefectLimitDepth:           "nested too deep",
	DefectLimitParts:           "too many parts",
	DefectNUL:                  "NUL in a header",
	DefectBareCR:               "bare CR in a header",
	DefectRaw8Bit:              "raw 8-bit bytes in a header",
	DefectDuplicateContentType: "more than one Content-Type",
	DefectBase64:               "broken base64",
	DefectQuotedPrintable:      "broken quoted-printable",
	DefectLimitAddresses:       "too many addresses",
	DefectLimitParams:          "too many parameters",
	DefectByteOrderMark:        "byte order mark before the header",
}

// String returns what is wrong in a few words.
func (k DefectKind) String() string {
	if int(k) < len(defectText) {
		return defectText[k]
	}
	return fmt.Sprintf("defect %d", uint8(k))
}

// Defect is one thing that is wrong with a message. Defects are data: parsing never fails on them.
type Defect struct {
	Kind   DefectKind
	Offset int64 // where in the message, in bytes from its start
	Part   int   // index of the part in Message.Parts
}

// String returns the defect with its place.
func (d Defect) String() string {
	return fmt.Sprintf("%s at byte %d (part %d)", d.Kind, d.Offset, d.Part)
}
