package house

// Code returns the exit code of a process that has ended, -1 if a signal ended it. Wait for Exited first.
func (p *Process) Code() int {
	<-p.exited
	return p.cmd.ProcessState.ExitCode()
}
