package queue

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
)

// The kinds of frames in the log. Each payload begins with the version of its record.
const (
	frameMessage byte = 1 // the message record, then the text unless it is in a file of its own
	frameStates  byte = 2 // a states record
	frameRemoved byte = 3 // a states record without states: the message was removed

	recordVersion = 1
)

// messageRecord heads a message frame, as JSON after the version and its length in 4 octets, little-endian. All states are kept with it, so that a message
// can be moved to the head of the log with what is known of it.
type messageRecord struct {
	ID      ID
	Message Message
	Size    int64  // octets of the text
	File    string `json:",omitempty"` // the file that holds the text; empty: it follows in the frame
	States  []State
}

// statesRecord is the whole payload of a states frame after the version, as JSON.
type statesRecord struct {
	ID     ID
	States map[int]State `json:",omitempty"` // by index of the recipient
}

var errRecord = errors.New("queue: record not understood")

func encodeMessage(r *messageRecord) ([]byte, error) {
	j, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	b := binary.LittleEndian.AppendUint32([]byte{recordVersion}, uint32(len(j)))
	return append(b, j...), nil
}

// decodeMessage gives the record and the offset of the text in the payload.
func decodeMessage(payload []byte) (*messageRecord, int, error) {
	if len(payload) < 5 {
		return nil, 0, errRecord
	}
	if payload[0] != recordVersion {
		return nil, 0, fmt.Errorf("%w: version %d, this program knows %d", errRecord, payload[0], recordVersion)
	}
	n := binary.LittleEndian.Uint32(payload[1:])
	if int64(n) > int64(len(payload)-5) {
		return nil, 0, errRecord
	}
	r := &messageRecord{}
	if err := json.Unmarshal(payload[5:5+n], r); err != nil {
		return nil, 0, fmt.Errorf("%w: %w", errRecord, err)
	}
	if len(r.States) != len(r.Message.Envelope.To) {
		return nil, 0, fmt.Errorf("%w: %d states for %d recipients", errRecord, len(r.States), len(r.Message.Envelope.To))
	}
	return r, int(5 + n), nil
}

func encodeStates(r *statesRecord) ([]byte, error) {
	j, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	return append([]byte{recordVersion}, j...), nil
}

func decodeStates(payload []byte) (*statesRecord, error) {
	if len(payload) == 0 {
		return nil, errRecord
	}
	if payload[0] != recordVersion {
		return nil, fmt.Errorf("%w: version %d, this program knows %d", errRecord, payload[0], recordVersion)
	}
	r := &statesRecord{}
	if err := json.Unmarshal(payload[1:], r); err != nil {
		return nil, fmt.Errorf("%w: %w", errRecord, err)
	}
	return r, nil
}
