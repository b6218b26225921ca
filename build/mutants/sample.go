package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// sampled makes n mutants in each of some packages: a condition is turned around, or a statement is left out. The tests
// that have to notice are those of the package's mutants in the table.
func sampled(packages []string, n int, seed uint64) (list []mutant, err error) {
	for _, pkg := range packages {
		pkg = filepath.Clean(pkg)
		files, err := filepath.Glob(filepath.Join(pkg, "*.go"))
		if err != nil {
			return nil, err
		}
		var all []mutant
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") || strings.HasSuffix(file, "_wasm.go") {
				continue
			}
			some, err := broken(file)
			if err != nil {
				return nil, err
			}
			all = append(all, some...)
		}
		dice := rand.New(rand.NewPCG(seed, seed))
		dice.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		all = all[:min(n, len(all))]
		for i := range all {
			all[i].tests = testsOf(pkg)
		}
		list = append(list, all...)
	}
	return list, nil
}

// testsOf are the packages whose tests have to notice what is wrong in a package.
func testsOf(pkg string) []string {
	tests := []string{pkg}
	for i := range table {
		if filepath.Dir(table[i].file) == pkg {
			for _, t := range table[i].tests {
				if !slices.Contains(tests, t) {
					tests = append(tests, t)
				}
			}
		}
	}
	return tests
}

// broken makes every mutant of a file. A mutant replaces the whole file.
func broken(file string) (list []mutant, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	files := token.NewFileSet()
	tree, err := parser.ParseFile(files, file, text, 0)
	if err != nil {
		return nil, err
	}
	source := string(text)
	replace := func(n ast.Node, form string) {
		from, to := files.Position(n.Pos()), files.Position(n.End())
		old := source[from.Offset:to.Offset]
		what := strings.TrimSpace(strings.Replace(form, "%s", old, 1))
		if what == "" {
			what = "without " + old
		}
		if i := strings.IndexByte(what, '\n'); i >= 0 {
			what = what[:i] + " …"
		}
		list = append(list, mutant{what: fmt.Sprintf("line %d: %s", from.Line, what), file: file, from: source,
			to: source[:from.Offset] + strings.Replace(form, "%s", old, 1) + source[to.Offset:]})
	}
	ast.Inspect(tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.IfStmt:
			replace(n.Cond, "!(%s)")
		case *ast.BinaryExpr:
			switch n.Op {
			case token.LAND, token.LOR:
				replace(n.X, "!(%s)")
				replace(n.Y, "!(%s)")
			case token.LSS, token.LEQ, token.GTR, token.GEQ:
				other := map[token.Token]string{token.LSS: "<=", token.LEQ: "<", token.GTR: ">=", token.GEQ: ">"}[n.Op]
				x, y := files.Position(n.X.End()).Offset, files.Position(n.Y.Pos()).Offset
				from, to := files.Position(n.Pos()), files.Position(n.End())
				list = append(list, mutant{what: fmt.Sprintf("line %d: %s in place of %s in %s", from.Line, other, n.Op, source[from.Offset:to.Offset]), file: file, from: source,
					to: source[:x] + " " + other + " " + source[y:]})
			}
		case *ast.ExprStmt:
			replace(n, "")
		case *ast.AssignStmt:
			if n.Tok != token.DEFINE {
				replace(n, "")
			}
		}
		return true
	})
	return list, nil
}
