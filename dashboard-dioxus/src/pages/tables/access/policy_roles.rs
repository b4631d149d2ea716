//! The roles of policies: their names, and the callers of the API that have them.

use api_types::ApiCaller;

use super::policy_sql::EVERYONE;

/// Returns the callers of the API that a policy with these roles applies to. `before` are the callers of the saved
/// policy. If `roles` contains a role that the form does not know, they stay, because they may have that role.
pub(super) fn callers_of(project: &str, roles: &[String], before: &[ApiCaller]) -> Vec<ApiCaller> {
    let known = [
        (ApiCaller::Publishable, format!("proj_{project}_anon")),
        (ApiCaller::SignedIn, format!("proj_{project}_user")),
    ];
    let is_known = |role: &String| role == EVERYONE || known.iter().any(|(_, known)| known == role);
    let (is_for_all, has_others) = (roles.iter().any(|role| role == EVERYONE), !roles.iter().all(is_known));
    let applies = |(caller, role): &&(ApiCaller, String)| {
        is_for_all || roles.contains(role) || (has_others && before.contains(caller))
    };
    known.iter().filter(applies).map(|(caller, _)| *caller).collect()
}

/// Returns the roles that a policy can apply to, with their names: those of the API's callers, and others that the
/// policy has. Servers with the secret key bypass policies.
pub(super) fn role_choices(project: &str, roles: &[String]) -> Vec<(String, String)> {
    let known = known_roles(project).map(|(role, name)| (role, name.to_owned()));
    let others = roles.iter().filter(|role| known.iter().all(|(known, _)| known != *role));
    let others: Vec<_> = others.map(|role| (role.clone(), role.clone())).collect();
    known.into_iter().chain(others).collect()
}

/// Returns the names of the roles that a policy applies to, for example `Signed-in users, reporting`.
pub(in crate::pages::tables) fn roles_in_words(project: &str, roles: &[String]) -> String {
    let known = known_roles(project);
    let names = roles.iter().map(|role| {
        let found = known.iter().find(|(known, _)| known == role);
        found.map_or(role.as_str(), |(_, name)| *name)
    });
    names.collect::<Vec<_>>().join(", ")
}

/// Returns the roles of the API's callers, with their names.
fn known_roles(project: &str) -> [(String, &'static str); 3] {
    [
        (EVERYONE.to_owned(), "Everyone"),
        (format!("proj_{project}_anon"), "Browsers with the publishable key"),
        (format!("proj_{project}_user"), "Signed-in users"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_of_callers_have_names_and_others_are_kept() {
        let choices = role_choices("x", &["proj_x_user".to_owned(), "reporting".to_owned()]);
        let choices: Vec<(&str, &str)> = choices.iter().map(|(role, name)| (role.as_str(), name.as_str())).collect();
        let expected = [
            ("public", "Everyone"),
            ("proj_x_anon", "Browsers with the publishable key"),
            ("proj_x_user", "Signed-in users"),
            ("reporting", "reporting"),
        ];
        assert_eq!(choices, expected);
        let roles = ["proj_x_user".to_owned(), "reporting".to_owned()];
        assert_eq!(roles_in_words("x", &roles), "Signed-in users, reporting");
    }

    #[test]
    fn callers_follow_from_the_roles_and_stay_if_a_role_is_unknown() {
        let callers = |roles: &[&str], before: &[ApiCaller]| {
            let roles: Vec<String> = roles.iter().map(|role| (*role).to_owned()).collect();
            callers_of("x", &roles, before)
        };
        let both = [ApiCaller::Publishable, ApiCaller::SignedIn];
        assert_eq!(callers(&["public"], &[]), both);
        assert_eq!(callers(&["proj_x_user"], &both), [ApiCaller::SignedIn]);
        assert_eq!(callers(&["proj_x_anon", "reporting"], &[]), [ApiCaller::Publishable]);
        assert_eq!(callers(&["reporting"], &[ApiCaller::SignedIn]), [ApiCaller::SignedIn]);
        assert!(callers(&[], &both).is_empty());
    }
}
