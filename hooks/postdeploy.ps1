# Needs Python 3.11 or newer, which azd needs for this project anyway.
Set-Location (Join-Path $PSScriptRoot '..')
foreach ($python in 'python', 'python3', 'py') {
    if (-not (Get-Command $python -ErrorAction SilentlyContinue)) { continue }
    & $python -c 'import tomllib' 2>$null
    if ($LASTEXITCODE -eq 0) {
        & $python -m hooks.after_deploy
        exit $LASTEXITCODE
    }
}
[Console]::Error.WriteLine('tipsweep: the hooks need Python 3.11 or newer as python, python3 or py.')
exit 1
