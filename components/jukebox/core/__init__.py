"""The pure part: Arrow in, Arrow out, no disk, no network, no orchestrator."""
