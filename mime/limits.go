package mime

// Limits bound what a message may cost. A zero field takes its default. A message that reaches a limit is still
// parsed: what lies beyond stays opaque, and a [Defect] says so.
type Limits struct {
	HeaderBytes      int   // bytes kept of one header; default 256 KiB
	TotalHeaderBytes int   // bytes kept of all headers together; default 4 MiB
	Fields           int   // fields in one header; default 5,000
	Depth            int   // nesting of multiparts and messages; default 128
	Parts            int   // parts in a message; default 10,000
	Addresses        int   // addresses in one field; default 10,000
	Params           int   // parameters in one field; default 200
	DecodedBytes     int64 // bytes decoded at once by Text, HTML, Embedded and the like; default 16 MiB
	Defects          int   // defects recorded; default 100
}

const (
	defaultHeaderBytes      = 256 << 10
	defaultTotalHeaderBytes = 4 << 20
	defaultFields           = 5000
	defaultDepth            = 128
	defaultParts            = 10000
	defaultAddresses        = 10000
	defaultParams           = 200
	defaultDecodedBytes     = 16 << 20
	defaultDefects          = 100
)

// withDefaults returns l with every zero or negative field set to its default.
func (l Limits) withDefaults() Limits {
	orDefault(&l.HeaderBytes, defaultHeaderBytes)
	orDefault(&l.TotalHeaderBytes, defaultTotalHeaderBytes)
	orDefault(&l.Fields, defaultFields)
	orDefault(&l.Depth, defaultDepth)
	orDefault(&l.Parts, defaultParts)
	orDefault(&l.Addresses, defaultAddresses)
	orDefault(&l.Params, defaultParams)
	orDefault(&l.DecodedBytes, defaultDecodedBytes)
	orDefault(&l.Defects, defaultDefects)
	l.DecodedBytes = min(l.DecodedBytes, 1<<62) // room to count one more
	l.Parts = min(l.Parts, 1<<30)               // parts are numbered in 32 bits
	return l
}

func orDefault[T int | int64](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}
