/*  keys - every configuration key there is, written once: struct, parser, checks, --print-config
 *  and the reference in --help are generated from these lines.
 *
 *      T (key, default, choices, help)          text; choices "a|b|c" or NULL for anything
 *      N (key, default, lowest, highest, help)  whole number
 *      R (key, default, lowest, highest, help)  real number
 *      B (key, default, help)                   true or false
 *      L (key, default, help)                   list of words, default as "a b"
 */
#ifndef QUINTET_CONF_KEYS_H
#define QUINTET_CONF_KEYS_H

#include "task/families.h"
#include "team/protocol.h"

#define CONF_RUN(T, N, R, B, L)                                                                    \
    T (name, "run", NULL, "name of the run: its folder, its keys, its lines in the tap")           \
    N (seed, 1, 0, 1LL << 53, "everything random follows from it")                                 \
    N (agents, 1, 1, 64, "agent processes that `quintet run` starts")                              \
    N (environments, 1, 1, 64, "environment processes")                                            \
    N (rewards, 1, 1, 64, "reward processes")                                                      \
    N (threads, 0, 0, 256, "threads of agent and trainer; 0: one per core")                        \
    N (timeout_s, 600, 1, 86400, "longest wait for the groups of one step")                        \
    R (lost_share, 0.1, 0, 1,                                                                      \
       "share of groups that may be lost, which nobody could play or score; beyond it the run "    \
       "ends with an error")                                                                       \
    N (completions_mb, 64, 0, 1048576,                                                             \
       "MB of completions.jsonl that are kept, the newest; 0: no such file")                       \
    T (baseline, "none", "none|solo", "train one agent that does everything, too, to compare")

#define CONF_MODEL(T, N, R, B, L)                                                                  \
    T (path, "", NULL, "Hugging Face folder: config.json, model.safetensors, tokenizer.json")      \
    T (compute, "f32", "f32|bf16",                                                                 \
       "what the matrix products read; checkpoints keep the model's dtype if it holds that")       \
    T (chat, "none", NULL,                                                                         \
       "chat format: none, auto, chatml, llama3, plain, a pattern with {prompt} or {prompt|trim}") \
    T (date, "", NULL, "YYYY-MM-DD: the day that it is for chat templates that write the date")    \
    T (adapter, "none", "none|lora", "lora: the model stays as it is, adapters on it learn")       \
    N (lora_rank, 16, 1, 1024, "of the adapters")                                                  \
    R (lora_alpha, 32, 1e-3, 1e6, "adapters add lora_alpha / lora_rank B A x")                     \
    L (lora_targets, "all-linear", "q_proj .. down_proj, lm_head; all-linear: all but lm_head")    \
    T (adapter_path, "", NULL,                                                                     \
       "PEFT folder (or one per policy in it) to begin from; its settings count")

/*  Of a policy that a server of others plays by; with any other engine than own they are the
 *  policy's only keys (policies.c). */
#define CONF_ENGINE(T, N, R, B, L)                                                                 \
    T (engine, "own", "own|openai",                                                                \
       "own: our agents compute it; openai: a server that speaks OpenAI's chat completions")       \
    T (url, "", NULL, "of that server's API: http://HOST:8000/v1")                                 \
    T (model, "", NULL, "as that server calls it")                                                 \
    T (key_env, "", NULL, "variable of the environment that holds its key, if there is one")       \
    N (concurrency, 32, 1, 4096, "questions that an agent asks it at once")

/*  Of each policy, in `policies`: what `model` says where the policy says nothing, and how it
 *  learns. */
#define CONF_POLICIES(T, N, R, B, L)                                                               \
    CONF_MODEL (T, N, R, B, L)                                                                     \
    CONF_ENGINE (T, N, R, B, L)                                                                    \
    B (train, true, "false: it stays as it is, and is neither trained nor in checkpoints")         \
    R (lr, 1e-3, 0, 1, "its learning rate at its highest; trainer.lr where it is not given")

#define CONF_TEAM(T, N, R, B, L)                                                                   \
    L (roles, "",                                                                                  \
       "seats of the team, as the task family knows them; as a map, with what each is told")       \
    T (policies, "shared", "shared|per_role",                                                      \
       "one set of weights for all roles, or one each; in short for a section `policies`")         \
    T (protocol, "parallel", PROTOCOL_CHOICES, "who acts in which turn (README: who acts when)")   \
    T (turns, "", NULL,                                                                            \
       "a protocol of one's own: a list of turns, each {ROLE: what it does, ...} (README)")

#define CONF_TASK(T, N, R, B, L)                                                                   \
    T (family, "", TASK_FAMILY_CHOICES, "what the team works at")                                  \
    T (path, "", NULL, "JSONL file (plain or .gz) with own tasks; empty: the built-in set")        \
    T (passages, "", NULL, "folder of texts, or .jsonl, that the primitive retrieve searches")     \
    T (program, "", NULL, "own environment: a program that plays episodes, in lines of JSON")      \
    R (program_s, 20, 0.1, 86400, "seconds that the own environment has for an answer")            \
    N (workers, 2, 1, 64, "processes of the own environment that one environment process starts")  \
    N (seeds, 1000, 1, 1000000, "tasks of the own environment without task.path: seeds from 0 on") \
    T (style, "plain", NULL, "which of the family's built-in sets, where it has several")          \
    N (seed, 1, 0, 1LL << 53, "of the generated set and of the split")                             \
    B (try_solutions, true,                                                                        \
       "try the solutions in a file of programs first, and refuse tasks whose own one fails")      \
    R (heldout, 0.2, 0, 0.9, "share of tasks kept for evaluation")                                 \
    N (max_tokens, 64, 1, 65536, "longest completion")                                             \
    N (max_turns, 0, 0, PROTOCOL_TURNS_MAX,                                                        \
       "turns of an episode at most; 0: as team.protocol has them by itself")                      \
    R (cpu_s, 4, 0.1, 3600, "CPU seconds of one test of a program; what needs more has failed")    \
    R (cpu_total_s, 20, 0.1, 86400, "CPU seconds of all tests of a program together")

#define CONF_REWARD(T, N, R, B, L)                                                                 \
    R (quality, 1.0, 0, 100,                                                                       \
       "w_q; coding: tests passed, success, a little for code that runs (README: own tasks)")      \
    R (speed, 0.3, 0, 100, "w_s; speed = quality (1 - critical path / (turns x task.max_tokens))") \
    R (cost, 0.1, 0, 100,                                                                          \
       "w_c; cost = mean of what applies: tokens read of others, repeated words, unused helper, "  \
       "turns, invalid actions, tools")                                                            \
    R (team, 1.0, 0, 100, "weight of R in what a role is credited with; 0: its local part alone")  \
    R (local, 0, 0, 100,                                                                           \
       "w_l; R_role = team R + w_l local, for credits by role: the role's part by itself")         \
    T (scale, "none", "none|batch",                                                                \
       "batch: rewards are divided by the running deviation of a step's (with loss.scale none)")   \
    T (command, "", NULL, "own scorer: a program that answers lines of JSON; empty: the family's") \
    R (command_s, 20, 0.1, 86400, "seconds that the own scorer has for one episode")               \
    L (python_modules, "",                                                                         \
       "third-party modules that programs may import; python3 on PATH must have them")             \
    N (workers, 2, 1, 64, "episodes scored at once by one reward process")

#define CONF_JUDGE(T, N, R, B, L)                                                                  \
    T (policy, "", NULL, "who is asked: a row of `policies` that is not trained, or a server's")   \
    T (url, "", NULL, "or: API of a server that speaks OpenAI's chat completions")                 \
    T (model, "", NULL, "as the server calls it")                                                  \
    T (key_env, "", NULL, "variable of the environment that holds the key; empty: no key")         \
    R (weight, 0.3, 1e-6, 1, "w; quality = (1 - w) of the scorer + w of the judge")                \
    T (system, "", NULL, "message before the prompt")                                              \
    T (prompt, "", NULL, "places: {brief}, {artifact}, a role's name ...; empty: one of ours")     \
    R (lowest, 1, -1e6, 1e6, "number that counts 0")                                               \
    R (highest, 10, -1e6, 1e6, "number that counts 1")                                             \
    N (samples, 1, 1, 64, "answers for each episode, of which the mean counts")                    \
    R (temperature, 0, 0, 2, "of its answers")                                                     \
    N (max_tokens, 256, 1, 65536, "of an answer")                                                  \
    R (seconds, 60, 1, 86400, "for one answer, all tries together")

#define CONF_TRAINER(T, N, R, B, L)                                                                \
    N (steps, 100, 0, 1000000, "optimiser steps")                                                  \
    N (budget_tokens, 0, 0, 1LL << 53,                                                             \
       "sampled tokens after which training ends, with the step that reaches them; 0: no limit")   \
    N (groups, 16, 1, 4096, "groups (tasks) per step")                                             \
    N (group_size, 8, 1, 1024, "episodes per group: G")                                            \
    N (resample, 0, 0, CONF_RESAMPLE_MAX,                                                          \
       "times that groups without spread are replaced by others in a step (DAPO); 0: never")       \
    N (minibatches, 1, 1, 64, "optimiser updates per step, whole groups each")                     \
    R (temperature, 1.0, 0.01, 10, "of sampling")                                                  \
    R (lr, 1e-3, 0, 1, "learning rate at its highest")                                             \
    T (schedule, "linear", "constant|linear|cosine", "of the learning rate after the warm-up")     \
    R (lr_end, 0.1, 0, 1, "learning rate at the end, as a share of lr")                            \
    N (warmup, 0, 0, 1000000, "steps of linear warm-up")                                           \
    R (beta1, 0.9, 0, 0.999999, "AdamW; below 1, or its bias correction divides by 0")             \
    R (beta2, 0.95, 0, 0.999999, "AdamW; below 1 likewise")                                        \
    R (eps, 1e-8, 1e-30, 1, "AdamW; above 0: a weight without gradients is divided by it")         \
    R (decay, 0.0, 0, 1, "AdamW's weight decay, of matrices")                                      \
    R (clip_norm, 1.0, 0, 1e9, "largest gradient norm; 0: not clipped")                            \
    N (activations_mb, 0, 0, 1048576,                                                              \
       "MB of activations kept per group, beyond that they are computed again; 0: by the model")   \
    N (checkpoint_every, 10, 1, 1000000, "steps between checkpoints on disk")                      \
    N (checkpoints_kept, 2, 1, 1000, "older ones are removed")

#define CONF_LOSS(T, N, R, B, L)                                                                   \
    T (type, "dapo", "grpo|bnpo|dr_grpo|dapo|cispo|sapo|luspo|vespo|rloo",                         \
       "policy-gradient loss; GSPO is grpo at level sequence")                                     \
    T (level, "token", "token|sequence", "of the importance ratio (sequence: GSPO)")               \
    R (clip_low, 0.2, 0, 1, "epsilon below 1")                                                     \
    R (clip_high, 0.2, 0, 100, "epsilon above 1")                                                  \
    R (delta, 0, 0, 1e6,                                                                           \
       "largest ratio where the advantage is negative: dual clip (Ye et al. 2020); 0: off")        \
    R (off_policy_kl, 0, 0, 100, "drop bad completions that drifted further (in KL); 0: off")      \
    R (sapo_positive, 1.0, 0.01, 100, "SAPO's temperature where the advantage is positive")        \
    R (sapo_negative, 1.05, 0.01, 100, "SAPO's temperature where it is negative")                  \
    R (kl, 0, 0, 100, "weight of the KL to the reference, the first policy; 0: off")               \
    N (kl_refresh, 0, 0, 1000000,                                                                  \
       "steps after which the policy as it is then becomes the reference; 0: never")               \
    T (kl_estimator, "k3", "k1|k2|k3", "of that KL (Schulman); k1 pulls only with kl_ratio")       \
    B (kl_ratio, false, "KL weighted by the importance ratio: unbiased off policy")                \
    T (scale, "group", "group|batch|none", "what advantages are divided by")                       \
    T (correction, "none", "none|token_truncate|token_mask|sequence_truncate|sequence_mask",       \
       "weight for sampling under other numerics: c = exp (logp_start - logp_sampled)")            \
    R (correction_cap, 2.0, 1, 1e6,                                                                \
       "where c is cut (truncate), or beyond which it counts 0 (mask)")                            \
    B (mask_truncated, false, "leave completions out that the length limit cut")                   \
    N (overlong_tokens, 0, 0, 65536,                                                               \
       "reward falls by up to 1 over the last tokens before task.max_tokens (DAPO); 0: off")       \
    T (credit, "joint", NULL,                                                                      \
       "whose doing a reward is: joint, role, role_turn, cross, removal, critic; several: a+b")

#define CONF_CRITIC(T, N, R, B, L)                                                                 \
    N (replay, 512, 1, 8192,                                                                       \
       "different texts that it learns from, the last ones; its time grows with their cube")       \
    R (lambda, 0.95, 0, 1, "of GAE over turns")                                                    \
    N (context, 512, 1, 65536, "words of the transcript that it reads, the last ones")             \
    R (trust, 0.1, -1, 1,                                                                          \
       "its values are used once the running mean of explained variance on fresh groups is this "  \
       "(a step has an eighth of its weight)")                                                     \
    R (distrust, 0.05, -1, 1, "and no longer once that mean is below this; at most trust")

#define CONF_EVALUATION(T, N, R, B, L)                                                             \
    N (every, 0, 0, 1000000, "steps between evaluations; 0: before and after only")                \
    N (tasks, 160, 1, 100000, "held-out tasks, each played sampled and greedy")                    \
    N (samples, 1, 1, 1024,                                                                        \
       "sampled episodes of each task; more than 1: the mean (avg@k) and pass@2, 4, ... are told") \
    R (temperature, 1.0, 0, 100, "of sampled episodes; those that are greedy have 0")              \
    N (top_k, 0, 0, 10000000, "they draw from the K likeliest tokens; 0: from all")                \
    R (top_p, 1.0, 1e-6, 1, "then from the fewest likeliest with this probability in all")         \
    R (min_p, 0, 0, 1, "then from those with this share of the likeliest's probability")           \
    R (repetition_penalty, 1.0, 0.01, 100, "of tokens that stand in prompt or completion; 1: off") \
    L (stop, "", "texts that end a completion where they begin, such as [\"\\n\\n\"]")

/*  section, its keys, help */
#define CONF_SECTIONS(S)                                                                           \
    S (run, CONF_RUN, "the run as a whole")                                                        \
    S (model, CONF_MODEL, "what policies start from")                                              \
    S (team, CONF_TEAM, "who works together")                                                      \
    S (task, CONF_TASK, "at what")                                                                 \
    S (reward, CONF_REWARD, "R = w_q quality + w_s speed - w_c cost")                              \
    S (judge, CONF_JUDGE,                                                                          \
       "who is asked for a part of the quality: a policy or a server; neither: nobody")            \
    S (trainer, CONF_TRAINER, "steps, optimiser, checkpoints")                                     \
    S (loss, CONF_LOSS, "what is minimised")                                                       \
    S (critic, CONF_CRITIC, "the centralised value function, when loss.credit asks for it")        \
    S (evaluation, CONF_EVALUATION, "on held-out tasks")

#endif
