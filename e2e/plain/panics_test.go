package plain

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/tools/go/packages"

	"waymark.dev/waymark/e2e/internal/repository"
)

// A panic while a request is handled ends the VM of the small module. So whatever a request can reach, from the exports that
// a host calls for it, is looked at: what could panic there either has a form that cannot, or a comment that says why it does
// not, beside it or on its function:
//
//	In range: an automaton has a row for each of its states.
//
// Not looked at are pointers that are nil, and memory that runs out.

// entryPoints are the exports of filter/wasm that a host calls for a request.
var entryPoints = []string{"proxyOnContextCreate", "proxyOnRequestHeaders", "proxyOnMemoryAllocate", "proxyOnDelete"}

// harmless are the functions of other packages that a request may reach, with the reason why they do not panic.
var harmless = map[string]string{
	"(*math/rand/v2.PCG).Uint64": "computes",
	"(error).Error":              "is the text of a panic that the standard module has recovered",
	"math/bits.RotateLeft64":     "computes",
	"slices.Delete":              "the index is that of a loop over the list",
	"slices.Grow":                "by one element",
	"strings.LastIndexByte":      "returns an index or -1",
}

const reason = "In range: "

func TestNothingInTheRequestPathPanics(t *testing.T) {
	config := &packages.Config{
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo | packages.NeedImports | packages.NeedDeps,
		Dir:  repository.Root, Env: append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS="),
	}
	loaded, err := packages.Load(config, "./filter/wasm", "./filter", "./hostcalls", "./routing")
	require.NoError(t, err)
	s := newSurvey()
	for _, p := range loaded {
		require.Empty(t, p.Errors)
		s.add(p.Fset, p.Syntax, p.TypesInfo)
	}
	problems := s.problems(entryPoints)
	assert.Empty(t, strings.Join(problems, "\n"))
	assert.Greater(t, s.looked, 60, "functions that a request reaches")
	for name := range harmless {
		assert.True(t, s.called[name], "a request does not reach %s any more", name)
	}
}

// TestTheSurveyFindsWhatCanPanic shows that the survey finds each thing, and lets pass what cannot panic.
func TestTheSurveyFindsWhatCanPanic(t *testing.T) {
	for body, want := range map[string]string{
		`_ = list[n]`:                          "list[n]",
		`_ = text[n]`:                          "text[n]",
		`_ = four[n]`:                          "four[n]",
		`_ = four[n&7]`:                        "four[n & 7]",
		`_ = four[n&3]`:                        "",
		`_ = four[n%4]`:                        "four[n % 4]", // n may be negative
		`_ = four[word%4]`:                     "",
		`_ = four[2]`:                          "",
		`_ = bytes[text[0]]`:                   "text[0]",
		`for i := range list { _ = list[i] }`:  "",
		`for i := range list { _ = other[i] }`: "other[i]",
		`for i := range list { list = other; _ = list[i] }`: "list[i]",
		`for i := range list { i = n; _ = list[i] }`:        "list[i]",
		`for i := 0; i < len(text); i++ { _ = text[i] }`:    "",
		`for i := 0; i < len(text); i++ { _ = text[i+1] }`:  "text[i + 1]",
		`for i := n; i < len(text); i++ { _ = text[i] }`:    "text[i]",
		`_ = list[:n]`:          "list[:n]",
		`_ = list[:0]`:          "",
		`_ = text[n:]`:          "text[n:]",
		`_ = list[:]`:           "",
		`_ = n / n`:             "n / n",
		`n %= n`:                "n %= n",
		`_ = n / 3`:             "",
		`_ = n << n`:            "n << n",
		`_ = n << (word & 31)`:  "",
		`_ = any(n).(int)`:      "any(n).(int)",
		`_, _ = any(n).(int)`:   "",
		`panic(text)`:           "panic(text)",
		`counts[n] = 1`:         "counts[n]",
		`_ = counts[n]`:         "",
		`list = make([]int, n)`: "make([]int, n)",
		`list = make([]int, 3)`: "",
		`_ = [4]int(list)`:      "[4]int(list)",
		`_ = list[n] // In range: the caller says so.`:  "",
		"// In range: the caller says so.\n_ = list[n]": "",
		"// In range:\n_ = list[n]":                     "list[n]",
		`below(n)`:                                      "list[n - 1]",
		`f := below; f(n)`:                              "list[n - 1]",
		`told(n)`:                                       "",
		`func() { _ = list[n] }()`:                      "list[n]",
	} {
		t.Run(body, func(t *testing.T) {
			source := `package p
var (list, other []int; four [4]int; bytes [256]int; text string; n int; word uint32; counts map[int]int)
func start() {
` + body + `
}
func below(n int) { _ = list[n-1] }
// In range: the caller says so.
func told(n int) { _ = list[n-1] }
func unreached(n int) { _ = list[n-2] }
`
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, "p.go", source, parser.ParseComments)
			require.NoError(t, err)
			info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{}}
			_, err = (&types.Config{}).Check("p", fset, []*ast.File{f}, info)
			require.NoError(t, err)
			s := newSurvey()
			s.add(fset, []*ast.File{f}, info)
			found := s.problems([]string{"start"})
			if want == "" {
				assert.Empty(t, found)
				return
			}
			require.Len(t, found, 1)
			assert.Contains(t, found[0], ": "+want+" ")
		})
	}
}

// survey is functions and what they call.
type survey struct {
	functions map[string]*function // by the full name of the object
	called    map[string]bool      // functions of other packages that were reached
	looked    int
}

type function struct {
	fset    *token.FileSet
	info    *types.Info
	decl    *ast.FuncDecl
	reasons map[int]bool // the lines that have a reason
}

func newSurvey() *survey {
	return &survey{functions: map[string]*function{}, called: map[string]bool{}}
}

func (s *survey) add(fset *token.FileSet, files []*ast.File, info *types.Info) {
	for _, file := range files {
		reasons := map[int]bool{}
		for _, group := range file.Comments {
			if at := strings.Index(group.Text(), reason); at >= 0 {
				// A comment is about its own line, and about the one that follows.
				reasons[fset.Position(group.Pos()).Line] = true
				reasons[fset.Position(group.End()).Line+1] = true
			}
		}
		for _, d := range file.Decls {
			if decl, ok := d.(*ast.FuncDecl); ok {
				s.functions[nameOf(info.Defs[decl.Name].(*types.Func))] = &function{fset, info, decl, reasons}
			}
		}
	}
}

// nameOf is the name of a function, without type arguments.
func nameOf(f *types.Func) string { return f.Origin().FullName() }

// problems looks at whatever can be reached from functions of the given names.
func (s *survey) problems(names []string) (problems []string) {
	var next []string
	for full, f := range s.functions {
		if f.decl.Recv == nil && slices.Contains(names, f.decl.Name.Name) {
			next = append(next, full)
		}
	}
	seen := map[string]bool{}
	for len(next) > 0 {
		full := next[0]
		next = next[1:]
		if seen[full] {
			continue
		}
		seen[full] = true
		f := s.functions[full]
		if f == nil {
			if s.called[full] = true; harmless[full] == "" {
				problems = append(problems, full+" is a function of another package, and none of those that are known not to panic")
			}
			continue
		}
		if f.decl.Body == nil { // a function of the host
			continue
		}
		s.looked++
		ast.Inspect(f.decl.Body, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok {
				if callee, ok := f.info.Uses[id].(*types.Func); ok {
					next = append(next, nameOf(callee))
				}
			}
			return true
		})
		problems = append(problems, f.problems()...)
	}
	slices.Sort(problems)
	return problems
}

// problems are the expressions that could panic, and have no reason why they do not.
func (f *function) problems() (problems []string) {
	if strings.Contains(f.decl.Doc.Text(), reason) {
		return nil
	}
	var path []ast.Node
	ast.Inspect(f.decl.Body, func(n ast.Node) bool {
		if n == nil {
			path = path[:len(path)-1]
			return true
		}
		if e := f.risk(n, path); e != nil && !f.reasons[f.fset.Position(e.Pos()).Line] {
			problems = append(problems, fmt.Sprintf("%s: %s can panic", f.fset.Position(e.Pos()), types.ExprString(e)))
		}
		path = append(path, n)
		return true
	})
	return problems
}

// risk returns the expression by which a node could panic, or nil. path is what the node is in.
func (f *function) risk(n ast.Node, path []ast.Node) ast.Expr {
	switch n := n.(type) {
	case *ast.IndexExpr:
		if f.indexPanics(n, path) {
			return n
		}
	case *ast.SliceExpr:
		if !f.isZero(n.Low) && n.Low != nil || n.High != nil && !f.isZero(n.High) || n.Max != nil && !f.isZero(n.Max) {
			return n
		}
	case *ast.BinaryExpr:
		if f.operationPanics(n.Op, n.X, n.Y) {
			return n
		}
	case *ast.AssignStmt:
		op := map[token.Token]token.Token{token.QUO_ASSIGN: token.QUO, token.REM_ASSIGN: token.REM, token.SHL_ASSIGN: token.SHL, token.SHR_ASSIGN: token.SHR}[n.Tok]
		if op != 0 && f.operationPanics(op, n.Lhs[0], n.Rhs[0]) {
			return &ast.BinaryExpr{X: n.Lhs[0], Op: n.Tok, OpPos: n.TokPos, Y: n.Rhs[0]}
		}
	case *ast.TypeAssertExpr:
		assign, ok := path[len(path)-1].(*ast.AssignStmt)
		isChecked := ok && len(assign.Lhs) == 2 && len(assign.Rhs) == 1
		if n.Type != nil && !isChecked { // the type of a switch is nil
			return n
		}
	case *ast.CallExpr:
		if f.callPanics(n) {
			return n
		}
	}
	return nil
}

func (f *function) isZero(e ast.Expr) bool {
	if e == nil {
		return false
	}
	v := f.info.Types[e].Value
	return v != nil && constant.Sign(v) == 0
}

// operationPanics reports a division by what may be zero, and a shift by what may be negative.
func (f *function) operationPanics(op token.Token, x, y ast.Expr) bool {
	switch op {
	case token.QUO, token.REM:
		return isInteger(f.info.Types[x].Type) && f.info.Types[y].Value == nil // a constant zero does not compile
	case token.SHL, token.SHR:
		return f.info.Types[y].Value == nil && !isUnsigned(f.info.Types[y].Type) && !f.below(y, 64)
	}
	return false
}

func isInteger(t types.Type) bool {
	b, ok := t.Underlying().(*types.Basic)
	return ok && b.Info()&types.IsInteger != 0
}

func isUnsigned(t types.Type) bool {
	b, ok := t.Underlying().(*types.Basic)
	return ok && b.Info()&types.IsUnsigned != 0
}

// callPanics reports calls of panic, of make with a size that is not constant, of functions of unsafe that take a size, and
// conversions of slices to arrays.
func (f *function) callPanics(call *ast.CallExpr) bool {
	if what := f.info.Types[call.Fun]; what.IsType() {
		_, fromSlice := f.info.Types[call.Args[0]].Type.Underlying().(*types.Slice)
		_, toArray := what.Type.Underlying().(*types.Array)
		return fromSlice && toArray
	}
	var name *ast.Ident
	switch fun := ast.Unparen(call.Fun).(type) {
	case *ast.Ident:
		name = fun
	case *ast.SelectorExpr:
		name = fun.Sel
	default:
		return false
	}
	if _, ok := f.info.Uses[name].(*types.Builtin); !ok {
		return false
	}
	switch name.Name {
	case "panic", "String", "Slice", "Add":
		return true
	case "make":
		for _, size := range call.Args[1:] {
			if f.info.Types[size].Value == nil {
				return true
			}
		}
	}
	return false
}

// indexPanics reports an index that may be outside of what it is an index of, and an entry in a map that may be nil.
func (f *function) indexPanics(x *ast.IndexExpr, path []ast.Node) bool {
	what := f.info.Types[x.X]
	if what.IsType() || f.info.Types[x.Index].IsType() { // type arguments
		return false
	}
	t := what.Type.Underlying()
	if p, ok := t.(*types.Pointer); ok {
		t = p.Elem().Underlying()
	}
	switch t := t.(type) {
	case *types.Signature:
		return false
	case *types.Map:
		assign, ok := path[len(path)-1].(*ast.AssignStmt)
		_, counts := path[len(path)-1].(*ast.IncDecStmt)
		return counts || ok && slices.Contains(assign.Lhs, ast.Expr(x))
	case *types.Array:
		if f.below(x.Index, t.Len()) {
			return false
		}
	}
	return !f.isOfLoop(x, path)
}

// below reports whether an index is always less than n: a constant, a byte, or with & or % of a constant.
func (f *function) below(index ast.Expr, n int64) bool {
	if f.info.Types[index].Value != nil {
		return true // or it does not compile
	}
	if b, ok := f.info.Types[index].Type.Underlying().(*types.Basic); ok && b.Kind() == types.Uint8 && n >= 256 {
		return true
	}
	e, ok := ast.Unparen(index).(*ast.BinaryExpr)
	if !ok {
		return false
	}
	v := f.info.Types[e.Y].Value
	if v == nil {
		return false
	}
	most, exact := constant.Int64Val(v)
	switch {
	case !exact:
		return false
	case e.Op == token.AND:
		return 0 <= most && most < n
	case e.Op == token.REM:
		return most <= n && isUnsigned(f.info.Types[e.X].Type)
	}
	return false
}

// isOfLoop reports whether an index counts the elements of the same list in a loop around it, which changes neither.
func (f *function) isOfLoop(x *ast.IndexExpr, path []ast.Node) bool {
	index, ok := x.Index.(*ast.Ident)
	if !ok {
		return false
	}
	list := types.ExprString(x.X)
	for _, n := range path {
		switch loop := n.(type) {
		case *ast.RangeStmt:
			key, ok := loop.Key.(*ast.Ident)
			if ok && loop.Tok == token.DEFINE && f.info.Defs[key] == f.info.Uses[index] && types.ExprString(loop.X) == list && !f.changes(loop.Body, index, list) {
				return true
			}
		case *ast.ForStmt:
			if f.counts(loop, index, list) && !f.changes(loop.Body, index, list) {
				return true
			}
		}
	}
	return false
}

// counts reports whether a loop has the form for i := 0; i < len(list); i++.
func (f *function) counts(loop *ast.ForStmt, index *ast.Ident, list string) bool {
	init, ok := loop.Init.(*ast.AssignStmt)
	if !ok || init.Tok != token.DEFINE || len(init.Lhs) != 1 || !f.isZero(init.Rhs[0]) {
		return false
	}
	key, ok := init.Lhs[0].(*ast.Ident)
	if !ok || f.info.Defs[key] != f.info.Uses[index] {
		return false
	}
	step, ok := loop.Post.(*ast.IncDecStmt)
	if !ok || step.Tok != token.INC || types.ExprString(step.X) != key.Name {
		return false
	}
	return loop.Cond != nil && types.ExprString(loop.Cond) == key.Name+" < len("+list+")"
}

// changes reports whether a body assigns to an index or to a list, or takes the address of one of them.
func (f *function) changes(body ast.Node, index *ast.Ident, list string) (found bool) {
	is := func(e ast.Expr) bool {
		text := types.ExprString(e)
		return text == list || text == index.Name || strings.HasPrefix(list, text+".")
	}
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			found = found || n.Tok != token.DEFINE && slices.ContainsFunc(n.Lhs, is)
		case *ast.IncDecStmt:
			found = found || is(n.X)
		case *ast.UnaryExpr:
			found = found || n.Op == token.AND && is(n.X)
		}
		return true
	})
	return found
}
