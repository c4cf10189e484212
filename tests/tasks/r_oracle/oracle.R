# Writes oracle.json: what R makes of the pooled patients of examples/heart_disease/data. Run from the repository's root:
#     Rscript tests/tasks/r_oracle/oracle.R
# R's own packages alone. Levels and complete cases are those of the project in test_r_oracle.py.
library(splines)
library(MASS)

# Natural and B-splines on the knots of the formulas in test_r_oracle.py.
natural <- function(x) ns(x, knots = c(50, 60), Boundary.knots = c(35, 70))
cubic <- function(x) bs(x, knots = c(120, 140), Boundary.knots = c(50, 210))
quadratic <- function(x) bs(x, knots = 130, degree = 2, Boundary.knots = c(50, 210))

files <- file.path("examples/heart_disease/data", c("cleveland.csv", "hungary.csv", "switzerland.csv", "long_beach.csv"))
people <- do.call(rbind, lapply(files, function(file) cbind(read.csv(file, na.strings = c("", "NA")), site = basename(file))))
people$trestbps[people$trestbps == 0] <- NA
people$disease <- as.numeric(people$disease == 1)
people$exang <- as.numeric(tolower(people$exang) %in% c("true", "1")) + ifelse(is.na(people$exang), NA, 0)
people$sex <- factor(tolower(people$sex), levels = c("female", "male"))
people$site <- factor(people$site, levels = c("cleveland.csv", "hungary.csv", "long_beach.csv", "switzerland.csv"))
people <- people[complete.cases(people[c("age", "sex", "trestbps", "thalch", "exang", "disease")]), ]
people$weight <- 1 + (people$age %% 4)
exact <- glm.control(epsilon = 1e-15, maxit = 100)

logistic <- list(
  plain = disease ~ age + sex + trestbps + thalch + exang,
  sites = disease ~ age + sex + trestbps + thalch + exang + site,
  crossed = disease ~ age * sex + exang:sex,
  natural = disease ~ natural(age) + sex,
  cubic = disease ~ cubic(trestbps) * exang,
  transformed = disease ~ log(age) + I(trestbps^2) + scale(thalch) + relevel(sex, "male"),
  offset = disease ~ age + sex + offset(log(trestbps))
)
linear <- list(
  plain = thalch ~ age + sex + exang,
  sites = thalch ~ age + sex + exang + site,
  crossed = thalch ~ age * sex,
  natural = thalch ~ natural(age) * exang,
  quadratic = log(thalch) ~ quadratic(trestbps) + sex,
  no_intercept = thalch ~ sex + age - 1,
  weighted = thalch ~ age + sex
)

rows <- function(model, intervals) {
  table <- coef(summary(model))
  lapply(seq_len(nrow(table)), function(i) as.list(setNames(c(table[i, ], intervals[i, ]), c("estimate", "std_error", "statistic", "p_value", "ci_low", "ci_high"))))
}
criteria <- function(model) list(n = nobs(model), df = attr(logLik(model), "df"), log_likelihood = as.numeric(logLik(model)), aic = AIC(model), bic = BIC(model))

of_logistic <- function(formula) {
  environment(formula) <- globalenv()
  model <- glm(formula, binomial, people, control = exact)
  # summary.glm has the errors of the last step but one; those of the estimate itself:
  model <- glm(formula, binomial, people, control = exact, start = coef(model))
  list(estimates = rows(model, matrix(confint.default(model), ncol = 2)), fit = criteria(model))
}
of_linear <- function(formula, weights = NULL) {
  environment(formula) <- globalenv()
  model <- if (is.null(weights)) lm(formula, people) else lm(formula, people, weights = weight)
  said <- summary(model)
  f <- said$fstatistic
  more <- list(
    sigma = said$sigma, r_squared = said$r.squared, adjusted_r_squared = said$adj.r.squared, df_residual = model$df.residual,
    f = f[["value"]], f_p = pf(f[["value"]], f[["numdf"]], f[["dendf"]], lower.tail = FALSE)
  )
  list(estimates = rows(model, matrix(confint(model), ncol = 2)), fit = c(criteria(model), more))
}

json <- function(value) {
  if (is.null(names(value)) && is.list(value)) return(paste0("[", paste(vapply(value, json, ""), collapse = ",\n"), "]"))
  if (is.list(value)) return(paste0("{", paste0("\"", names(value), "\": ", vapply(value, json, ""), collapse = ", "), "}"))
  if (is.character(value)) return(paste0("\"", value, "\""))
  text <- sprintf("%.17g", value)
  if (length(text) == 1) text else paste0("[", paste(text, collapse = ", "), "]")
}

hand <- c(28, 35, 42.5, 50, 55, 60, 64, 70, 77)
pressure <- c(50, 80, 110, 120, 128, 140, 171, 200, 210)
bases <- list(
  natural = list(x = hand, columns = lapply(1:3, function(j) natural(hand)[, j])),
  cubic = list(x = pressure, columns = lapply(1:5, function(j) cubic(pressure)[, j])),
  quadratic = list(x = pressure, columns = lapply(1:3, function(j) quadratic(pressure)[, j]))
)
by_group <- split(people$trestbps, people$disease)
table_one <- list(
  quantiles = as.list(setNames(quantile(people$trestbps, c(0.1, 0.25, 0.5, 0.75, 0.9), type = 1, names = FALSE), c("q10", "q25", "q50", "q75", "q90"))),
  welch = with(t.test(by_group[[1]], by_group[[2]]), list(statistic = unname(statistic), df = unname(parameter), p_value = p.value)),
  pooled = with(t.test(by_group[[1]], by_group[[2]], var.equal = TRUE), list(statistic = unname(statistic), df = unname(parameter), p_value = p.value)),
  chi_square = with(chisq.test(people$sex, people$disease, correct = FALSE), list(statistic = unname(statistic), df = unname(parameter), p_value = p.value))
)
longley_model <- lm(Employed ~ ., longley)
answer <- list(
  r = R.version.string,
  logistic = lapply(logistic, of_logistic),
  linear = lapply(setNames(names(linear), names(linear)), function(name) of_linear(linear[[name]], if (name == "weighted") TRUE)),
  longley = list(columns = as.list(longley), estimates = rows(longley_model, matrix(confint(longley_model), ncol = 2))),
  bases = bases,
  table_one = table_one
)
writeLines(json(answer), "tests/tasks/r_oracle/oracle.json")
