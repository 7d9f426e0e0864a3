package spam

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
)

// A RulesError says what is wrong with rules, and where.
type RulesError struct {
	Field string // as in "actions[1].score" or "composites[0] (PHISH)"
	Err   error
}

func (e *RulesError) Error() string { return fmt.Sprintf("spam: rules: %s: %v", e.Field, e.Err) }

// Unwrap gives the cause.
func (e *RulesError) Unwrap() error { return e.Err }

// RulesFromJSON reads rules as [json.Marshal] writes them, and validates them. To change a few of the default rules, write those of
// [DefaultRules] into a file and edit it. Errors are of type [*RulesError].
func RulesFromJSON(data []byte) (*Rules, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, &RulesError{"the document", err}
	}
	r := &Rules{}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		var err error
		switch raw := fields[name]; name {
		case "weights":
			r.Weights, err = object[Weight](name, raw)
		case "groups":
			r.Groups, err = object[float64](name, raw)
		case "composites":
			r.Composites, err = array[Composite](name, raw)
		case "actions":
			r.Actions, err = array[Threshold](name, raw)
		case "force":
			r.Force, err = object[Action](name, raw)
		case "texts":
			err = strict(name, raw, &r.Texts)
		default:
			err = &RulesError{name, errors.New("there is no such field")}
		}
		if err != nil {
			return nil, err
		}
	}
	if err := r.Validate(); err != nil {
		return nil, err
	}
	return r, nil
}

// object reads an object member by member, so that an error can name it.
func object[T any](field string, raw json.RawMessage) (map[string]T, error) {
	var members map[string]json.RawMessage
	if err := strict(field, raw, &members); err != nil || members == nil {
		return nil, err
	}
	m := make(map[string]T, len(members))
	for _, name := range slices.Sorted(maps.Keys(members)) {
		var v T
		if err := strict(field+"."+name, members[name], &v); err != nil {
			return nil, err
		}
		m[name] = v
	}
	return m, nil
}

func array[T any](field string, raw json.RawMessage) ([]T, error) {
	var elements []json.RawMessage
	if err := strict(field, raw, &elements); err != nil {
		return nil, err
	}
	var list []T
	for i, e := range elements {
		var v T
		if err := strict(fmt.Sprintf("%s[%d]", field, i), e, &v); err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

func strict(field string, raw json.RawMessage, v any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && t.Field != "" {
			field += "." + t.Field
		}
		return &RulesError{field, err}
	}
	return nil
}

// Validate tells whether rules make sense: numbers are numbers, names mean something, thresholds rise. Its error is a [*RulesError].
func (r *Rules) Validate() error {
	for _, name := range slices.Sorted(maps.Keys(r.Weights)) {
		if !finite(r.Weights[name].Score) {
			return &RulesError{"weights." + name, errors.New("the score is no finite number")}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Groups)) {
		if !finite(r.Groups[name]) || r.Groups[name] < 0 {
			return &RulesError{"groups." + name, errors.New("the most that a group adds is a number from 0 on")}
		}
	}
	if err := r.validateComposites(); err != nil {
		return err
	}
	for i, t := range r.Actions {
		field := fmt.Sprintf("actions[%d]", i)
		switch {
		case !finite(t.Score):
			return &RulesError{field, errors.New("the score is no finite number")}
		case t.Action < Accept || t.Action > Reject:
			return &RulesError{field, fmt.Errorf("there is no %v", t.Action)}
		case i > 0 && t.Score <= r.Actions[i-1].Score:
			return &RulesError{field, fmt.Errorf("its score %g is not above %g, that of the threshold before", t.Score, r.Actions[i-1].Score)}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Force)) {
		if _, ok := r.Weights[name]; !ok {
			return &RulesError{"force." + name, errors.New("no weight has this name; a symbol that only decides has the weight 0")}
		}
	}
	return nil
}

func (r *Rules) validateComposites() error {
	later := map[string]bool{}
	for _, c := range r.Composites {
		later[c.Name] = true
	}
	for i, c := range r.Composites {
		fail := func(format string, a ...any) error {
			return &RulesError{fmt.Sprintf("composites[%d] (%s)", i, c.Name), fmt.Errorf(format, a...)}
		}
		if _, ok := r.Weights[c.Name]; !ok {
			return fail("no weight has this name: it would count nothing")
		}
		if len(c.All)+len(c.Any) == 0 {
			return fail("neither all nor any names a symbol: it would never be found")
		}
		for _, name := range slices.Concat(c.All, c.Any, c.None, c.Replace) {
			if _, ok := r.Weights[name]; !ok {
				return fail("no weight has the name %s", name)
			}
		}
		for _, name := range slices.Concat(c.All, c.Any, c.None) {
			if later[name] {
				return fail("it refers to the composite %s, which does not come before it", name)
			}
		}
		delete(later, c.Name)
	}
	return nil
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
