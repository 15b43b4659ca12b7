// Command vendue is a ping-post lead exchange: one binary, one file a command.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

// Exit codes.
const (
	exitFine   = 0
	exitWanted = 1 // found wanting: a bad config, a damaged journal, books that disagree
	exitUsage  = 2
)

// wanting is an error of what was looked at, not of how the command was called.
type wanting struct{ error }

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int { return runWith(args, os.Stdout, os.Stderr) }

func runWith(args []string, stdout, stderr io.Writer) int {
	root := &cobra.Command{
		Use:           "vendue",
		Short:         "A ping-post lead exchange",
		Long:          "Vendue sells leads by ping-post auction, writes every sale to a durable journal before\nanyone hears of it, and pays the affiliates that brought them.",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(serveCommand(), checkCommand(), demoCommand(), explainCommand(), specCommand(), logCommand(), verifyCommand(), keyCommand(),
		doubtCommand(), conflictsCommand(), postbackCommand(), creditCommand(), reconcileCommand(), buyerCommand(), capsCommand(), pingsCommand(), balanceCommand(),
		backtestCommand())
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.Execute()
	var found wanting
	switch {
	case err == nil:
		return exitFine
	case errors.As(err, &found):
		if text := err.Error(); text != "" {
			_ = tell(stderr, "%s\n", text) // the exit code says it too
		}
		return exitWanted
	default:
		_ = tell(stderr, "vendue: %v\n\nRun 'vendue --help', or 'vendue COMMAND --help', for how it is used.\n", err)
		return exitUsage
	}
}

// tell writes to a command's output. An output that is gone is no fault of how the command was called.
func tell(w io.Writer, format string, args ...any) error {
	if _, err := fmt.Fprintf(w, format, args...); err != nil {
		return wanting{err}
	}
	return nil
}

// needFlag adds a string flag that must be given.
func needFlag(c *cobra.Command, dst *string, name, usage string) {
	c.Flags().StringVar(dst, name, "", usage)
	if err := c.MarkFlagRequired(name); err != nil {
		panic("BUG: " + err.Error())
	}
}
