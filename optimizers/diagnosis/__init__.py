"""Why a file is not smaller or faster: facts about it (`facts`), and rules that turn them into sentences (`rules`)."""
