/* main.c: the command table, and the bare form: a first word that is no command is a puzzle.
 * Not a command: each is in cmd_NAME.c.
 * Next: cmd_solve.c. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/args.h"
#include "cli/command.h"
#include "cli/sigbus.h"

static const struct {
    const char *name, *summary; /* without summary: for developers, not listed */
    command_fn *run;
} commands[] = {
    {"solve", "solve a puzzle: the greedy answer, then search, with the tree drawn", cmd_solve},
    {"run", "continue a text", cmd_run},
    {"chat", "talk with a model, by the template of its file", cmd_chat},
    {"serve", "chat, completions and search over HTTP, with a page that shows the tree", cmd_serve},
    {"eval", "accuracy and cost of a search over a file of problems", cmd_eval},
    {"compare", "two files of results, problem by problem", cmd_compare},
    {"plot", "accuracy over cost from files of results, as picture and table", cmd_plot},
    {"study", "figures and a page from a folder of results", cmd_study},
    {"merge", "one file of results from the shards of a run", cmd_merge},
    {"tree", "search trees in files: show, check, resume, replay, compare, draw", cmd_tree},
    {"strategies", "the strategies of --search and their parameters", cmd_strategies},
    {"generate", "problems of a task, drawn from a seed", cmd_generate},
    {"judge", "judge answers that anyone gave to a file of problems", cmd_judge},
    {"calibrate", "a reward model's values against exact reachability, by step", cmd_calibrate},
    {"train", "train a policy, or a reward model from labels", cmd_train},
    {"label", "make labels for a reward model: rollouts of a policy", cmd_label},
    {"logits", "write the logits of given tokens", cmd_logits},
    {"models", "the models inside the binary, or files, with the tasks they were trained for", cmd_models},
    {"inspect", "show what is in a model file, and its memory at a context length", cmd_inspect},
    {"convert", "write a safetensors folder as one GGUF file", cmd_convert},
    {"quantize", "write a model file with smaller weights", cmd_quantize},
    {"tokenize", "print the token ids of a text", cmd_tokenize},
    {"detokenize", "print the text of token ids", cmd_detokenize},
    {"perplexity", "how well a model predicts a text, in llama.cpp's way of counting", cmd_perplexity},
    {"bench", "measure speed on this computer; make models of known shapes for it", cmd_bench},
    {"signature", NULL, cmd_signature},
};
enum { N_COMMANDS = sizeof commands / sizeof *commands };

static int usage(FILE *to, int code) {
    fputs("ponder: a small model that thinks by search, on this computer\n\n"
          "  ponder \"4 7 8 8\"       reach 24 with these numbers and + - * /\n\n",
          to);
    for (int i = 0; i < N_COMMANDS; i++)
        if (commands[i].summary) fprintf(to, "  ponder %-15s %s\n", commands[i].name, commands[i].summary);
    fputs("\n  ponder COMMAND --help   its flags\n  ponder --version\n", to);
    return code;
}

/* A script that asks each command's --help for its flags, so that it knows what the binary knows. */
static int completion(void) {
    fputs("_ponder() {\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]}\n"
          "    COMPREPLY=()\n"
          "    if [ \"$COMP_CWORD\" = 1 ]; then\n"
          "        COMPREPLY=($(compgen -W \"",
          stdout);
    for (int i = 0; i < N_COMMANDS; i++)
        if (commands[i].summary) printf("%s ", commands[i].name);
    fputs("--help --version\" -- \"$cur\"))\n"
          "    elif [[ $cur == -* ]]; then\n"
          "        COMPREPLY=($(compgen -W \"$(\"${COMP_WORDS[0]}\" \"${COMP_WORDS[1]}\" --help 2>/dev/null |\n"
          "            sed -n 's/^  \\(-[a-z-]*,\\)\\{0,1\\} *\\(--[a-z0-9-]*\\).*/\\2/p')\" -- \"$cur\"))\n"
          "    fi\n"
          "}\n"
          "complete -o default -F _ponder ponder\n",
          stdout);
    return EXIT_GOOD;
}

static int dispatch(int argc, char **argv) {
    if (argc < 2) return usage(stderr, EXIT_USAGE);
    const char *word = argv[1];
    for (int i = 0; i < N_COMMANDS; i++)
        if (!strcmp(word, commands[i].name)) return commands[i].run(argc - 1, argv + 1);
    if (!strcmp(word, "--help") || !strcmp(word, "-h") || !strcmp(word, "help")) return usage(stdout, EXIT_GOOD);
    if (!strcmp(word, "--completion-bash")) return completion();
    if (!strcmp(word, "--version") || !strcmp(word, "version")) {
        printf("ponder %s (%s)\n", version_commit, version_parts);
        return EXIT_GOOD;
    }
    if ((word[0] >= '0' && word[0] <= '9') || word[0] == '-' || strpbrk(word, " \n")) { /* the bare form: a puzzle */
        argv[0] = "solve";
        return cmd_solve(argc, argv);
    }
    fprintf(stderr,
            "ponder: \"%.60s\" is neither a command nor a puzzle; a puzzle is four numbers: ponder \"4 7 8 8\"\n",
            word);
    return EXIT_USAGE;
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN); /* a closed reader is an error of write, so that files beside stdout are finished */
    signal(SIGXFSZ, SIG_IGN); /* and so is a file at its size limit */
    sigbus_install();
    int code = dispatch(argc, argv);
    if (fflush(stdout) == 0 && !ferror(stdout)) return code;
    if (errno != EPIPE) fprintf(stderr, "ponder: stdout: %s\n", strerror(errno));
    return code ? code : EXIT_FAILED;
}
